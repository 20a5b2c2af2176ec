//! The processes that a child started: all descendants of its runner, whatever group or session
//! they moved to, or, when the runner is gone, what is left of its session.

use rustix::process::{Pid, Signal, getpid, kill_process};
use std::collections::HashMap;

/// What `/proc` says of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stat {
    parent: i32,
    session: i32,
    /// It has ended and only waits to be reaped.
    zombie: bool,
}

/// Descendants of this process that still run.
fn descendants() -> Vec<Pid> {
    let mut children: HashMap<i32, Vec<(i32, Stat)>> = HashMap::new();
    for (pid, stat) in all() {
        children.entry(stat.parent).or_default().push((pid, stat));
    }
    let mut open = vec![getpid().as_raw_nonzero().get()];
    let mut found = Vec::new();
    while let Some(parent) = open.pop() {
        for (pid, stat) in children.remove(&parent).unwrap_or_default() {
            open.push(pid);
            found.extend(Pid::from_raw(pid).filter(|_| !stat.zombie));
        }
    }
    found
}

/// Kills every descendant that there is now, and says whether there was one. To be repeated: one
/// of them may just have started another.
pub(super) fn kill() -> bool {
    let all = descendants();
    for pid in &all {
        // It cannot be a stranger's: only this process reaps it, or its parent, which is in the list.
        let _gone = kill_process(*pid, Signal::KILL);
    }
    !all.is_empty()
}

/// The same for what is left of a session, whose number is not given to another while a member runs.
pub(crate) fn kill_session(session: i32) -> bool {
    let mut any = false;
    for (pid, stat) in all() {
        if stat.session == session
            && !stat.zombie
            && let Some(pid) = Pid::from_raw(pid)
        {
            let _gone = kill_process(pid, Signal::KILL);
            any = true;
        }
    }
    any
}

fn all() -> impl Iterator<Item = (i32, Stat)> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| {
        let pid = entry.file_name().to_str()?.parse().ok()?;
        // It may have ended since the folder was read.
        let stat = std::fs::read_to_string(entry.path().join("stat")).ok()?;
        Some((pid, parse(&stat)?))
    })
}

/// Of `/proc/PID/stat`: `1 (any (name)) S parent group session ...`.
fn parse(stat: &str) -> Option<Stat> {
    let (_, rest) = stat.rsplit_once(") ")?;
    let mut fields = rest.split(' ');
    let zombie = matches!(fields.next()?, "Z" | "X");
    let parent = fields.next()?.parse().ok()?;
    let session = fields.nth(1)?.parse().ok()?;
    Some(Stat {
        parent,
        session,
        zombie,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stat_line_is_read_whatever_the_name() {
        let stat = |zombie| {
            Some(Stat {
                parent: 3,
                session: 8,
                zombie,
            })
        };
        assert_eq!(parse("7 (sh) S 3 7 8 0"), stat(false));
        assert_eq!(parse("7 (a) b) (c) Z 3 7 8 0"), stat(true));
        assert_eq!(parse("7"), None);
    }

    #[test]
    fn a_child_is_a_descendant_until_it_has_ended() {
        let mut child = std::process::Command::new("sleep")
            .arg("600")
            .spawn()
            .expect("sleep starts");
        let pid = Pid::from_child(&child);
        assert!(descendants().contains(&pid));
        child.kill().expect("it is killed");
        child.wait().expect("it is reaped");
        assert!(!descendants().contains(&pid));
    }
}
