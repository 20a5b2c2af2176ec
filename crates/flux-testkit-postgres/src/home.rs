//! The directory of one server, and the watchdog that ends the server and removes the directory
//! when we drop it or die, however we die.

use crate::programs::{Programs, run};
use crate::storage::Storage;
use crate::wait::random;
use std::fs::remove_dir_all;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Waits for the end of its input, which the kernel closes when we are gone. Then asks every
/// process that works in the data directory (the server and its backends, or what fills it) to stop
/// at once, and kills what does not. `CONT` is for those that a test froze.
const WATCHDOG: &str = r#"
read -r nothing
each() {
    found=1
    for process in /proc/[0-9]*; do
        if [ "$process/cwd" -ef "$home/data" ]; then
            found=0
            kill -s "$1" "${process#/proc/}"
        fi
    done
    return $found
}
home=$1
each QUIT
rounds=0
while each CONT; do
    rounds=$((rounds + 1))
    [ $rounds -gt 60 ] && each KILL
    sleep 0.05
done
# A killed server leaves a segment of shared memory behind, named in the lock file's seventh line.
set -- $(sed -n 7p "$home/data/postmaster.pid")
[ -n "$2" ] && ipcrm -m "$2"
rm -rf "$home"
"#;

/// Of its directory, the part that belongs to PostgreSQL; the watchdog knows it, too.
const DATA: &str = "data";

/// A directory that only the server's user can enter.
#[derive(Debug)]
pub(crate) struct Home {
    path: PathBuf,
    watchdog: Child,
}

impl Home {
    pub(crate) fn new(programs: &Programs, storage: Storage) -> Result<Home, String> {
        let path = format!("flux-postgres-{:016x}", random());
        let path = storage.folder().join(path);
        // Before there is anything to remove. In a group of its own: whoever kills the group of a
        // test must not kill its watchdog.
        let watchdog = programs
            .as_owner("/bin/sh")
            .args(["-c", WATCHDOG, "watchdog"])
            .arg(&path)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .map_err(|error| format!("cannot start a watchdog: {error}"))?;
        let home = Home { path, watchdog };
        // By the user whom they shall belong to, who alone can remove them at any moment.
        let mut mkdir = programs.as_owner("mkdir");
        run(mkdir.args(["-m", "700"]).arg(&home.path).arg(home.data()))?;
        Ok(home)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The data directory, empty at first.
    pub(crate) fn data(&self) -> PathBuf {
        self.path.join(DATA)
    }

    /// Lets a command run in the data directory, so that the watchdog ends it, too.
    pub(crate) fn work_in<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command.current_dir(self.data())
    }

    /// Ends the server that runs in it and removes it.
    pub(crate) fn clear(&mut self) {
        drop(self.watchdog.stdin.take());
        let _ = self.watchdog.wait();
        // The watchdog cannot where the folder around it belongs to somebody else.
        let _ = remove_dir_all(&self.path);
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        self.clear();
    }
}
