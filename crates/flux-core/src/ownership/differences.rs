//! What the members of a cluster should agree on, and do not: safe, but not what anybody wants.

use crate::clock::ClockOffset;
use crate::ids::Incarnation;
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

/// By how much the calendar clock of `me` is to be moved to agree with the cluster's: nothing, unless
/// most clocks, the database's included, are more than [`ClockOffset::ODD`] away from it. Timers
/// that it sets and fires would be early or late for everybody else.
#[must_use]
pub fn calendar_correction(members: &[Member], me: Incarnation) -> ClockOffset {
    let living = living(members);
    let Some(mine) = living.iter().find(|member| member.incarnation == me) else {
        return ClockOffset::default();
    };
    let of_engines = living.iter().map(|member| member.clock_offset);
    let mut clocks: Vec<_> = of_engines.chain([ClockOffset::default()]).collect();
    clocks.sort_unstable();
    let correction = |clock: &ClockOffset| clock.ahead_of(mine.clock_offset);
    let far = clocks
        .iter()
        .filter(|clock| correction(clock).apart() > ClockOffset::ODD);
    if far.count() * 2 <= clocks.len() {
        return ClockOffset::default();
    }
    correction(&clocks[clocks.len() / 2])
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
    use crate::clock::Timestamp;

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
            address: None,
            running: 0,
            heard: None,
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

    /// By how much the first of these clocks is corrected; seconds ahead of the database's.
    fn correction(ahead_s: &[i64]) -> i64 {
        let members: Vec<_> = (1..)
            .zip(ahead_s)
            .map(|(number, ahead)| Member {
                incarnation: Incarnation::new(Uuid::from_u128(number)),
                ..member("any", 3, *ahead)
            })
            .collect();
        let me = Incarnation::new(Uuid::from_u128(1));
        calendar_correction(&members, me).as_micros() / 1_000_000
    }

    #[test]
    fn a_clock_is_corrected_if_most_others_are_far_from_it() {
        assert_eq!(correction(&[0, 3_600]), 0, "the other one's is wrong");
        assert_eq!(correction(&[3_600, 0]), -3_600);
        assert_eq!(correction(&[-3_600, 1]), 3_600);
        assert_eq!(correction(&[31, 0]), -31);
        assert_eq!(correction(&[30, 0]), 0, "not far enough");
        assert_eq!(
            correction(&[3_600]),
            0,
            "one of two, and nobody knows which"
        );
        assert_eq!(correction(&[3_600, 3_600]), 0, "the database's is wrong");
        assert_eq!(
            correction(&[0, 3_600, 3_600, 3_601]),
            3_600,
            "so it is here"
        );
        assert_eq!(correction(&[3_600, 3_600, 0]), 0, "nobody knows");
        assert_eq!(correction(&[3_600, -3_600, 0, 0]), -3_600);
        assert_eq!(correction(&[]), 0);
    }

    #[test]
    fn clocks_are_wrong_either_way() {
        let mut members = [member("a", 3, 2), member("b", 3, -3), member("c", 3, 3600)];
        assert_eq!(names(wrong_clocks(&members)), ["b", "c"]);
        members[2].state = MemberState::Dead;
        assert_eq!(names(wrong_clocks(&members)), ["b"]);
    }
}
