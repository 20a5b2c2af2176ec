//! What a server's directory lies on. A server or a database begins as hundreds of small files, which
//! take a busy disk seconds and memory a tenth of one.

use crate::programs::run;
use std::fs::read_to_string;
use std::path::PathBuf;
use std::process::Command;

const MEMORY: &str = "/dev/shm";
/// Less than this is left to others.
const ENOUGH_KIB: u64 = 4 * 1024 * 1024;

/// Where a server keeps its data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Storage {
    /// In memory where there is plenty of it; otherwise on the disk.
    #[default]
    Fast,
    /// On the disk.
    Disk,
}

impl Storage {
    /// The folder for directories of servers.
    pub(crate) fn folder(self) -> PathBuf {
        // Who says where temporary files go means it.
        let told = std::env::var_os("TMPDIR").is_some();
        if self == Storage::Fast && !told && plenty().is_some_and(|kib| kib >= ENOUGH_KIB) {
            return MEMORY.into();
        }
        std::env::temp_dir()
    }
}

/// How much the file system in memory can still take, if it is there.
fn plenty() -> Option<u64> {
    let table = run(Command::new("df").args(["-Pk", MEMORY])).ok()?;
    let words: Vec<&str> = table.lines().nth(1)?.split_whitespace().collect();
    let [_, _, _, room, _, MEMORY] = words[..] else {
        return None;
    };
    let room: u64 = room.parse().ok()?;
    let memory = read_to_string("/proc/meminfo").ok()?;
    let mut lines = memory.lines();
    let available = lines.find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let free: u64 = available.split_whitespace().next()?.parse().ok()?;
    Some(room.min(free))
}
