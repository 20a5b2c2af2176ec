//! All descendants of this process, whatever group or session they moved to.

use rustix::process::{Pid, Signal, getpid, kill_process};
use std::collections::HashMap;

/// Those that still run; zombies have ended and only wait to be reaped.
pub(super) fn descendants() -> Vec<Pid> {
    let mut children: HashMap<i32, Vec<(i32, bool)>> = HashMap::new();
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    for entry in entries {
        let pid = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok());
        let Some(pid) = pid else { continue };
        // It may have ended since the folder was read.
        let Ok(stat) = std::fs::read_to_string(entry.path().join("stat")) else {
            continue;
        };
        if let Some((parent, zombie)) = parse(&stat) {
            children.entry(parent).or_default().push((pid, zombie));
        }
    }
    let mut open = vec![getpid().as_raw_nonzero().get()];
    let mut found = Vec::new();
    while let Some(parent) = open.pop() {
        for (pid, zombie) in children.remove(&parent).unwrap_or_default() {
            open.push(pid);
            found.extend(Pid::from_raw(pid).filter(|_| !zombie));
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

/// Parent and whether it is a zombie, from `/proc/PID/stat`: `1 (any (name)) S 2 ...`.
fn parse(stat: &str) -> Option<(i32, bool)> {
    let (_, rest) = stat.rsplit_once(") ")?;
    let mut fields = rest.split(' ');
    let state = fields.next()?;
    let parent = fields.next()?.parse().ok()?;
    Some((parent, matches!(state, "Z" | "X")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stat_line_is_read_whatever_the_name() {
        assert_eq!(parse("7 (sh) S 3 7 7 0"), Some((3, false)));
        assert_eq!(parse("7 (a) b) (c) Z 3 7"), Some((3, true)));
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
