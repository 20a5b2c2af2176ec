//! What the members of a cluster should agree on, and do not: safe, but not what anybody wants.

use crate::ports::members::{Member, MemberState};

/// The living members, when they do not all have the same failover time window; else nobody.
#[must_use]
pub fn differing_windows(members: &[Member]) -> Vec<&Member> {
    let living = living(members);
    let differ = living.iter().any(|m| m.window != living[0].window);
    if differ { living } else { Vec::new() }
}

/// The living members whose calendar clock is notably far from the database's.
#[must_use]
pub fn wrong_clocks(members: &[Member]) -> Vec<&Member> {
    let mut wrong = living(members);
    wrong.retain(|member| member.clock_offset.is_notable());
    wrong
}

fn living(members: &[Member]) -> Vec<&Member> {
    let living = |member: &&Member| member.state != MemberState::Dead;
    members.iter().filter(living).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use uuid::Uuid;

    use super::*;
    use crate::clock::{ClockOffset, Timestamp};
    use crate::ids::Incarnation;

    fn member(name: &str, window_s: u64, ahead_s: i64) -> Member {
        let engine = Timestamp::from_micros(ahead_s * 1_000_000);
        Member {
            incarnation: Incarnation::new(Uuid::nil()),
            name: name.to_owned(),
            window: Duration::from_secs(window_s),
            heartbeat_seq: 0,
            state: MemberState::Alive,
            heartbeat_at: Timestamp::default(),
            heartbeat_age: Duration::ZERO,
            clock_offset: ClockOffset::between(engine, Timestamp::default()),
            started_at: Timestamp::default(),
            host: String::new(),
            pid: 1,
            version: String::new(),
            pool: None,
            concurrency: 1,
            running: 0,
        }
    }

    fn names(members: Vec<&Member>) -> Vec<&str> {
        members.iter().map(|member| member.name.as_str()).collect()
    }

    #[test]
    fn windows_differ_or_nobody_is_named() {
        let mut members = [member("a", 3, 0), member("b", 3, 0), member("c", 9, 0)];
        assert_eq!(names(differing_windows(&members)), ["a", "b", "c"]);
        assert!(differing_windows(&members[..2]).is_empty());
        assert!(differing_windows(&[]).is_empty());
        members[2].state = MemberState::Dead;
        assert!(differing_windows(&members).is_empty());
    }

    #[test]
    fn clocks_are_wrong_either_way() {
        let mut members = [member("a", 3, 2), member("b", 3, -3), member("c", 3, 3600)];
        assert_eq!(names(wrong_clocks(&members)), ["b", "c"]);
        members[2].state = MemberState::Dead;
        assert_eq!(names(wrong_clocks(&members)), ["b"]);
    }
}
