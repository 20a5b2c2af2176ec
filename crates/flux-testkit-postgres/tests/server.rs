//! The servers themselves: their lives, their databases, their replicas.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test, and one that is skipped says so"
)]

use flux_testkit_postgres::{Endpoint, Mode, Replication, Server, available, faketime_installed};
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const TABLE: &str = "create table t (n int); insert into t values (1), (2);";

#[test]
fn postgres_databases_of_one_server_know_nothing_of_each_other() {
    if !available() {
        return;
    }
    let server = Server::shared();
    let (one, other) = (server.create_database(), server.create_database());
    one.psql(TABLE);
    assert_eq!(one.psql("select n, null, 'x' from t"), ["1||x", "2||x"]);
    let refused = other.try_psql("select * from t").unwrap_err();
    assert!(refused.contains("\"t\" does not exist"), "{refused}");
    let (name, url) = (one.name().to_owned(), one.url().to_owned());
    drop(one);
    let refused = Endpoint::new(url).try_psql("select 1").unwrap_err();
    assert!(refused.contains(&name), "{refused}");
}

#[test]
fn postgres_keeps_what_was_committed_through_every_kind_of_restart() {
    if !available() {
        return;
    }
    let server = Server::start();
    let database = server.create_database();
    database.psql(TABLE);
    for mode in [Mode::Fast, Mode::Immediate, Mode::Kill] {
        let started = server.psql("select pg_postmaster_start_time()");
        server.stop(mode);
        assert!(database.try_psql("select 1").is_err(), "{mode:?}");
        server.start_again();
        assert_eq!(database.psql("select count(*) from t"), ["2"], "{mode:?}");
        assert_ne!(server.psql("select pg_postmaster_start_time()"), started);
    }
    server.restart(Mode::Fast);
}

#[test]
fn postgres_settings_are_those_of_the_builder_and_change_while_it_runs() {
    if !available() {
        return;
    }
    let server = Server::builder()
        .durable()
        .setting("max_connections", "17")
        .start();
    assert_eq!(
        server.psql("show fsync; show max_connections;"),
        ["on", "17"]
    );
    server.configure("lock_timeout", "7s");
    assert_eq!(server.psql("show lock_timeout"), ["7s"]);
}

#[test]
fn postgres_frozen_answers_nothing_and_thawed_goes_on() {
    if !available() {
        return;
    }
    let server = Server::start();
    server.freeze();
    let (sender, answer) = std::sync::mpsc::channel();
    let endpoint = Endpoint::clone(&server);
    std::thread::spawn(move || sender.send(endpoint.psql("select 1")));
    let silence = answer.recv_timeout(Duration::from_millis(500));
    assert!(silence.is_err(), "{silence:?}");
    server.thaw();
    assert_eq!(answer.recv_timeout(Duration::from_secs(30)).unwrap(), ["1"]);
}

#[test]
fn postgres_backends_are_killed_by_condition() {
    if !available() {
        return;
    }
    let server = Server::start();
    let sleeper = Endpoint::new(format!("{}?application_name=sleeper", server.url()));
    let client = std::thread::spawn(move || sleeper.try_psql("select pg_sleep(600)"));
    let start = Instant::now();
    while server.kill_backends("application_name = 'sleeper' and query like '%sleep%'") == 0 {
        assert!(start.elapsed() < Duration::from_secs(30), "no client came");
    }
    let complaint = client.join().unwrap().unwrap_err();
    assert!(complaint.contains("terminating connection"), "{complaint}");
    assert_eq!(server.kill_backends("true"), 0);
}

#[test]
fn postgres_standby_promoted_has_all_that_was_committed_before_the_cut() {
    if !available() {
        return;
    }
    let primary = Server::start();
    let standby = primary.standby(Replication::Asynchronous);
    primary.psql(TABLE);
    standby.cut_replication();
    standby.resume_replication();
    primary.psql("insert into t values (3)");
    let start = Instant::now();
    while standby.try_psql("select count(*) from t") != Ok(vec!["3".to_owned()]) {
        assert!(
            start.elapsed() < Duration::from_secs(30),
            "it does not follow"
        );
    }
    standby.cut_replication();
    primary.psql("insert into t values (4)");
    assert!(standby.try_psql("insert into t values (5)").is_err());
    standby.promote();
    standby.psql("insert into t values (5)");
    assert_eq!(
        standby.psql("select n from t order by n"),
        ["1", "2", "3", "5"]
    );
    assert_eq!(
        primary.psql("select n from t order by n"),
        ["1", "2", "3", "4"]
    );
}

#[test]
fn postgres_synchronous_standby_holds_commits_back_while_it_is_cut_off() {
    if !available() {
        return;
    }
    let primary = Server::start();
    let standby = primary.standby(Replication::Synchronous);
    primary.psql(TABLE);
    standby.cut_replication();
    let (sender, answer) = std::sync::mpsc::channel();
    let endpoint = Endpoint::clone(&primary);
    std::thread::spawn(move || sender.send(endpoint.try_psql("insert into t values (3)")));
    let silence = answer.recv_timeout(Duration::from_millis(500));
    assert!(silence.is_err(), "{silence:?}");
    standby.resume_replication();
    answer
        .recv_timeout(Duration::from_secs(30))
        .unwrap()
        .unwrap();
    primary.stop(Mode::Kill);
    standby.promote();
    assert_eq!(standby.psql("select count(*) from t"), ["3"]);
}

#[test]
fn postgres_clock_can_be_wrong_and_step_while_it_runs() {
    if !available() {
        return;
    }
    if !faketime_installed() {
        println!("SKIPPED: libfaketime is not installed (apt-get install libfaketime)");
        return;
    }
    let server = Server::builder().faketime().start();
    let seconds = || -> i64 {
        let ours = Command::new("date").arg("+%s").output().unwrap().stdout;
        let ours: i64 = String::from_utf8(ours).unwrap().trim().parse().unwrap();
        let theirs = server.psql("select extract(epoch from clock_timestamp())::bigint");
        theirs[0].parse::<i64>().unwrap() - ours
    };
    for (offset, expected) in [("+0", 0), ("+3600", 3600), ("-3600", -3600)] {
        server.set_clock(offset);
        assert!((seconds() - expected).abs() < 60, "{offset}: {}", seconds());
    }
}

/// A process of its own, to be killed: starts a server, tells where, and waits.
#[test]
#[ignore = "only for the test below"]
fn victim() {
    let server = Server::start();
    server.freeze();
    println!("port {}", server.port());
    std::io::stdin().read_line(&mut String::new()).unwrap();
}

#[test]
fn postgres_frozen_even_ends_with_the_process_that_started_it() {
    if !available() {
        return;
    }
    let mut victim = Command::new(std::env::current_exe().unwrap())
        .args(["victim", "--exact", "--ignored", "--nocapture"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = std::io::BufRead::lines(std::io::BufReader::new(victim.stdout.take().unwrap()));
    let port = lines
        .map_while(Result::ok)
        .find_map(|line| line.strip_prefix("port ")?.parse::<u16>().ok())
        .unwrap();
    victim.kill().unwrap();
    victim.wait().unwrap();
    let start = Instant::now();
    while std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
        assert!(start.elapsed() < Duration::from_secs(30), "it still runs");
    }
}

#[test]
fn postgres_leaves_no_directory_whenever_the_process_that_starts_it_is_killed() {
    if !available() {
        return;
    }
    let folder = std::env::temp_dir().join(format!("flux-postgres-test-{}", std::process::id()));
    std::fs::create_dir(&folder).unwrap();
    // The server's user works in it, too.
    std::fs::set_permissions(&folder, Permissions::from_mode(0o1777)).unwrap();
    let homes = || folder.read_dir().unwrap().map(|home| home.unwrap().path());
    for moment in ["", "data/base", "data/base/5", "data/postmaster.pid"] {
        let mut victim = Command::new(std::env::current_exe().unwrap())
            .args(["victim", "--exact", "--ignored"])
            .env("TMPDIR", &folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let start = Instant::now();
        while !homes().any(|home| home.join(moment).exists()) {
            assert!(start.elapsed() < Duration::from_secs(30), "no {moment}");
        }
        victim.kill().unwrap();
        victim.wait().unwrap();
        while let Some(home) = homes().next() {
            assert!(start.elapsed() < Duration::from_secs(60), "{home:?} stays");
        }
    }
    std::fs::remove_dir(folder).unwrap();
}
