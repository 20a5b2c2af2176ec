//! The disk under the database is full for a while: that of PostgreSQL's tables, that of its log, and
//! that of the embedded store. Each is a small file system of its own, which needs the right to mount.

use super::{World, pass, said};
use crate::{PATIENCE, check, cluster};
use flux_testkit::history::now;
use flux_testkit::postgres::{Mode, Server};
use flux_testkit::{Flux, Witness, shell_task, wait_until};
use std::fs::File;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// Longer than the window of four seconds.
const FULL_FOR: Duration = Duration::from_secs(6);

/// A small file system in memory, gone when dropped.
struct Disk {
    path: PathBuf,
    _directory: Option<tempfile::TempDir>,
}

impl Disk {
    /// In place of this folder, of the user with this number; `None`, and a word about it, where this
    /// process may mount nothing.
    fn mount(path: &Path, megabytes: usize, user: u32) -> Option<Disk> {
        let options = format!("size={megabytes}m,mode=700,uid={user}");
        let mut mount = Command::new("mount");
        mount
            .args(["-t", "tmpfs", "-o", &options, "flux-test"])
            .arg(path);
        let output = mount.output().ok();
        if !output.is_some_and(|output| output.status.success()) {
            eprintln!("SKIPPED: this process may not mount a file system (run it as root)");
            return None;
        }
        Some(Disk {
            path: path.to_owned(),
            _directory: None,
        })
    }

    /// The same somewhere where every user may go.
    fn new(megabytes: usize, user: u32) -> Option<Disk> {
        let directory = tempfile::tempdir().unwrap();
        std::fs::set_permissions(
            directory.path(),
            std::os::unix::fs::PermissionsExt::from_mode(0o755),
        )
        .unwrap();
        let path = directory.path().join("disk");
        std::fs::create_dir(&path).unwrap();
        let mut disk = Disk::mount(&path, megabytes, user)?;
        disk._directory = Some(directory);
        Some(disk)
    }

    fn ballast(&self) -> PathBuf {
        self.path.join("ballast")
    }

    /// Takes all room that is left.
    fn fill(&self) {
        let mut ballast = File::create(self.ballast()).unwrap();
        for size in [1 << 20, 4096] {
            while ballast.write_all(&vec![0; size]).is_ok() {}
        }
    }

    fn make_room(&self) {
        std::fs::remove_file(self.ballast()).unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // At once for all who look for it, and really when the last has closed its files.
        let _ = Command::new("umount").arg("-l").arg(&self.path).status();
    }
}

/// The user that the server's files belong to.
fn user(server: &Server) -> u32 {
    let data = server.psql("show data_directory").remove(0);
    std::fs::metadata(data).unwrap().uid()
}

/// Waits until each engine has said why it cannot go on.
#[track_caller]
fn wait_for_word(engines: &[Flux], word: &str) {
    for engine in engines {
        let line = engine.wait_for_line(word, PATIENCE);
        eprintln!("an engine says: {line:.300}");
        assert_eq!(said(engine, "panicked"), 0, "{:?}", engine.stderr());
    }
}

#[test]
fn process_1c46_a_full_disk_of_the_tables_delays_work_and_nothing_else() {
    let Some(world) = World::new("+4s") else {
        return;
    };
    let Some(disk) = Disk::new(24, user(&world.server)) else {
        return;
    };
    let path = disk.path.display();
    world
        .server
        .psql(&format!("create tablespace small location '{path}'"));
    let name = world.database.name();
    world
        .server
        .psql(&format!("alter database {name} set tablespace small"));
    // Each has room for half of the work, so that both have some.
    let engines = ["one", "two"].map(|name| {
        let engine = world.cluster.engine(name);
        engine.env("FLUX_CONCURRENCY_LEVEL", "4").spawn()
    });
    world.busy(8, 12, 0.3);
    let since = now();
    disk.fill();
    // Not each of them: the pages at hand may have room for all that the other one has to write.
    wait_until("an engine says why it cannot go on", PATIENCE, || {
        let says = |engine: &Flux| said(engine, "No space left on device") > 0;
        engines.iter().any(says)
    });
    assert!(engines.iter().all(|engine| said(engine, "panicked") == 0));
    pass(FULL_FOR);
    disk.make_room();
    world.cluster.disturbed(since);
    let truth = world.ends_well();
    eprintln!("declared dead: {:?}", truth.convicted);
}

/// PostgreSQL itself ends when it cannot write its log; somebody makes room and starts it again.
#[test]
fn process_1c46_no_room_for_the_servers_log_is_an_outage() {
    let builder = Server::builder();
    let builder = builder.setting("min_wal_size", "32MB");
    let Some(world) = World::on("+4s", builder.setting("max_wal_size", "32MB")) else {
        return;
    };
    let Some(disk) = Disk::new(128, user(&world.server)) else {
        return;
    };
    let log = world.server.psql("show data_directory").remove(0) + "/pg_wal";
    world.server.stop(Mode::Fast);
    let mut copy = Command::new("cp");
    let copied = copy
        .args(["-a", &format!("{log}/.")])
        .arg(&disk.path)
        .status();
    assert!(copied.unwrap().success());
    std::fs::remove_dir_all(&log).unwrap();
    std::os::unix::fs::symlink(&disk.path, &log).unwrap();
    world.server.start_again();
    let engines = [world.cluster.start("one"), world.cluster.start("two")];
    world.busy(8, 12, 0.3);
    let since = now();
    disk.fill();
    // What it has in store for its log is used up by this.
    wait_until("the server has ended", PATIENCE, || {
        world.server.try_psql("select pg_switch_wal()").is_err()
    });
    pass(FULL_FOR);
    assert!(world.server.log().contains("No space left on device"));
    wait_for_word(&engines, "the heartbeat fails");
    disk.make_room();
    world.server.restart(Mode::Kill);
    world.cluster.disturbed(since);
    world.ends_well().nobody_was_convicted();
}

#[test]
fn process_1c46_a_full_disk_of_the_embedded_store_delays_work_and_nothing_else() {
    let (cluster, witness) = (cluster("+4s"), Witness::new());
    let store = cluster.directory().join(".local/share/flux");
    std::fs::create_dir_all(&store).unwrap();
    let Some(disk) = Disk::mount(&store, 8, rustix::process::getuid().as_raw()) else {
        return;
    };
    let engines = [cluster.start("one"), cluster.start("two")];
    let step = |n| shell_task(&format!("s{n}"), &witness.around("sleep 0.3"));
    let tasks: String = (0..12).map(step).collect();
    let runs = cluster.submit("full", &tasks, 8);
    crate::wait_for_traces(&witness, "s0", runs.len());
    let since = now();
    disk.fill();
    wait_for_word(&engines, "disk is full");
    pass(FULL_FOR);
    let mut client = cluster.client(&["submit", "full.yaml"]);
    let code = client.wait(PATIENCE).code();
    eprintln!(
        "a client ends with {code:?} and says: {:?}",
        client.stderr()
    );
    disk.make_room();
    cluster.disturbed(since);
    for run in &runs {
        cluster.wait_for_state(run, "completed");
    }
    check(&cluster, Some(&witness));
}
