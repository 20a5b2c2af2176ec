//! What Linux tells of processes under `/proc`. Elsewhere, and of processes that are gone, nothing.

use rustix::time::{ClockId, clock_gettime};
use std::time::Duration;

/// Processor time of this process so far.
pub fn own_cpu() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec as u32)
}

/// Bytes that this process has caused to be written to disks so far.
pub fn own_written() -> Option<u64> {
    field("self", "io", "write_bytes:")
}

/// What the scheduler knows of a process.
pub struct Stat {
    /// Processor time so far.
    pub cpu: Duration,
    /// That of its children which have ended.
    pub ended_children_cpu: Duration,
    /// The process that it is a child of.
    pub parent: u32,
    /// Name of the program.
    pub name: String,
}

/// Of the process with this id.
pub fn stat(pid: u32) -> Option<Stat> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // Between the brackets is its name, which may contain anything.
    let (head, fields) = text.rsplit_once(") ")?;
    let fields: Vec<&str> = fields.split_whitespace().collect();
    let number = |place: usize| fields.get(place)?.parse::<u64>().ok();
    let per_second = rustix::param::clock_ticks_per_second();
    let time = |place| {
        let ticks = number(place)? + number(place + 1)?;
        Some(Duration::from_millis(ticks * 1000 / per_second.max(1)))
    };
    Some(Stat {
        cpu: time(11)?,
        ended_children_cpu: time(13)?,
        parent: number(1)?.try_into().ok()?,
        name: head.split_once('(')?.1.to_owned(),
    })
}

/// Those that it has started and that have not ended.
pub fn children(pid: u32) -> Vec<u32> {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task"));
    let threads = threads.into_iter().flatten().flatten();
    let lists = threads.filter_map(|thread| {
        let list = thread.path().join("children");
        std::fs::read_to_string(list).ok()
    });
    let ids = |list: String| -> Vec<u32> {
        let ids = list.split_whitespace();
        ids.filter_map(|pid| pid.parse().ok()).collect()
    };
    lists.flat_map(ids).collect()
}

/// Memory, in bytes.
#[derive(Clone, Copy, Default)]
pub struct Memory {
    /// All that is in memory.
    pub resident: u64,
    /// The part that no other process can share.
    pub private: u64,
}

/// Of the process with this id, or of `self`.
pub fn memory(pid: &str) -> Option<Memory> {
    Some(Memory {
        resident: field(pid, "status", "VmRSS:")? << 10,
        private: field(pid, "status", "RssAnon:")? << 10,
    })
}

/// Memory of a process in bytes, with its share of what it shares with others.
pub fn proportional_memory(pid: u32) -> Option<u64> {
    Some(field(&pid.to_string(), "smaps_rollup", "Pss:")? << 10)
}

/// The number behind `name` at the beginning of a line.
fn field(pid: &str, file: &str, name: &str) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/{file}")).ok()?;
    let rest = text.lines().find_map(|line| line.strip_prefix(name))?;
    rest.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_knows_itself() {
        let me = stat(std::process::id()).expect("this process is there");
        assert!(children(me.parent).contains(&std::process::id()));
        assert!(!me.name.is_empty() && own_cpu() > Duration::ZERO);
        let memory = memory("self").expect("this process has memory");
        assert!(memory.private > 0 && memory.private < memory.resident);
    }

    #[test]
    fn of_a_process_that_is_gone_there_is_nothing_to_know() {
        assert!(stat(u32::MAX).is_none());
        assert!(children(u32::MAX).is_empty());
    }
}
