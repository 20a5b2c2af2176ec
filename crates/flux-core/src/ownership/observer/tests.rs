use uuid::Uuid;

use super::*;
use crate::clock::{ClockOffset, Timestamp};

pub(super) const WINDOW: Duration = Duration::from_secs(180);

pub(super) fn incarnation(number: u128) -> Incarnation {
    Incarnation::new(Uuid::from_u128(number))
}

pub(super) fn at(secs: u64) -> BootTime {
    BootTime::default().plus(Duration::from_secs(secs))
}

pub(super) fn member(number: u128, heartbeat_seq: u64) -> Member {
    Member {
        incarnation: incarnation(number),
        name: format!("engine-{number}"),
        window: WINDOW,
        heartbeat_seq,
        state: MemberState::Alive,
        heartbeat_at: Timestamp::default(),
        heartbeat_age: Duration::ZERO,
        clock_offset: ClockOffset::default(),
        started_at: Timestamp::default(),
        host: "host".to_owned(),
        pid: 1,
        version: "0".to_owned(),
        pool: None,
        concurrency: 10,
        address: None,
        running: 1,
        heard: None,
    }
}

fn observer() -> Observer {
    Observer::new(incarnation(0), Timing::of(WINDOW))
}

/// Polls every 15 s from `from` to `to`, both included, and returns what the last poll said.
fn poll(observer: &mut Observer, from: u64, to: u64, members: &[Member]) -> Vec<Verdict> {
    let mut verdicts = Vec::new();
    for now in (from..=to).step_by(15) {
        verdicts = observer.observe(at(now), members);
    }
    verdicts
}

fn convicts(verdicts: &[Verdict]) -> bool {
    verdicts
        .iter()
        .any(|verdict| matches!(verdict, Verdict::Convict { .. }))
}

#[test]
fn silence_is_suspect_after_half_a_window_and_dead_after_a_whole_one() {
    let mut observer = observer();
    let silent = [member(1, 7)];
    assert_eq!(poll(&mut observer, 0, 90, &silent), vec![]);
    let suspect = Verdict::Suspect {
        who: incarnation(1),
        silent: Duration::from_secs(105),
    };
    assert_eq!(poll(&mut observer, 105, 105, &silent), vec![suspect]);
    assert!(!convicts(&poll(&mut observer, 120, 165, &silent)));
    let convict = Verdict::Convict {
        who: incarnation(1),
        seen_seq: 7,
        silent: WINDOW,
    };
    assert_eq!(poll(&mut observer, 180, 180, &silent), vec![convict]);
}

#[test]
fn a_heartbeat_begins_the_count_anew() {
    let mut observer = observer();
    poll(&mut observer, 0, 165, &[member(1, 7)]);
    assert_eq!(poll(&mut observer, 180, 270, &[member(1, 8)]), vec![]);
    assert!(convicts(&poll(&mut observer, 285, 360, &[member(1, 8)])));
}

#[test]
fn a_member_that_never_beat_is_judged_from_its_join() {
    assert!(convicts(&poll(&mut observer(), 0, 180, &[member(1, 0)])));
}

#[test]
fn nobody_convicts_itself() {
    assert_eq!(poll(&mut observer(), 0, 900, &[member(0, 7)]), vec![]);
}

#[test]
fn each_is_judged_by_its_own_window() {
    let mut observer = observer();
    let (mut short, mut long) = (member(1, 1), member(2, 1));
    short.window = Duration::from_secs(30);
    long.window = Duration::from_secs(3650 * 24 * 60 * 60);
    let verdicts = poll(&mut observer, 0, 30, &[short.clone(), long.clone()]);
    assert_eq!(
        verdicts,
        vec![Verdict::Convict {
            who: short.incarnation,
            seen_seq: 1,
            silent: Duration::from_secs(30),
        }]
    );
    assert_eq!(poll(&mut observer, 45, 90_000, &[long]), vec![]);
}

#[test]
fn draining_members_are_judged_like_the_others() {
    let mut draining = member(1, 1);
    draining.state = MemberState::Draining;
    assert!(convicts(&poll(&mut observer(), 0, 180, &[draining])));
}

#[test]
fn a_dead_member_with_branches_is_taken_over_at_once() {
    let (mut dead, mut empty) = (member(1, 1), member(2, 1));
    dead.state = MemberState::Dead;
    empty.state = MemberState::Dead;
    empty.running = 0;
    let take_over = Verdict::TakeOver {
        who: incarnation(1),
    };
    assert_eq!(observer().observe(at(0), &[dead, empty]), vec![take_over]);
}

#[test]
fn of_a_late_poll_two_intervals_count() {
    let mut observer = observer();
    let silent = [member(1, 7)];
    poll(&mut observer, 0, 120, &silent);
    // An hour after the last one: 30 s of it count.
    assert!(!convicts(&observer.observe(at(3720), &silent)));
    assert!(!convicts(&poll(&mut observer, 3735, 3735, &silent)));
    let verdicts = poll(&mut observer, 3750, 3750, &silent);
    let convict = Verdict::Convict {
        who: incarnation(1),
        seen_seq: 7,
        silent: WINDOW,
    };
    assert_eq!(verdicts, vec![convict]);
}

#[test]
fn one_late_poll_alone_convicts_nobody() {
    let mut observer = observer();
    // Its last heartbeat may be a whole period old, the next one take another after the gap.
    poll(&mut observer, 0, 60, &[member(1, 7)]);
    assert_eq!(observer.observe(at(36_000), &[member(1, 7)]), vec![]);
    assert!(!convicts(&poll(
        &mut observer,
        36_015,
        36_075,
        &[member(1, 7)]
    )));
}

#[test]
fn who_always_polls_late_convicts_in_the_end() {
    let mut observer = observer();
    let mut polls = (0..).map(|turn| observer.observe(at(turn * 50), &[member(1, 7)]));
    assert_eq!(polls.position(|verdicts| convicts(&verdicts)), Some(6));
}

#[test]
fn a_lost_store_convicts_nobody() {
    let mut observer = observer();
    poll(&mut observer, 0, 165, &[member(1, 7)]);
    observer.reset();
    assert_eq!(poll(&mut observer, 180, 180, &[member(1, 7)]), vec![]);
}

#[test]
fn a_number_that_goes_back_means_another_store_and_forgets_everybody() {
    let mut observer = observer();
    poll(&mut observer, 0, 165, &[member(1, 7), member(2, 50)]);
    let promoted = [member(1, 7), member(2, 49)];
    assert_eq!(poll(&mut observer, 180, 270, &promoted), vec![]);
    assert!(convicts(&poll(&mut observer, 285, 360, &promoted)));
}

#[test]
fn a_clock_that_goes_back_forgets_and_one_that_stands_convicts_nobody() {
    let mut observer = observer();
    let mut silent = member(1, 7);
    poll(&mut observer, 300, 465, &[silent.clone()]);
    assert_eq!(observer.observe(at(5), &[silent.clone()]), vec![]);
    silent.window = Duration::ZERO;
    assert_eq!(observer.observe(at(5), &[silent.clone()]), vec![]);
    assert!(convicts(&observer.observe(at(6), &[silent])));
}

#[test]
fn who_left_and_came_back_begins_anew() {
    let mut observer = observer();
    poll(&mut observer, 0, 165, &[member(1, 7)]);
    poll(&mut observer, 180, 180, &[]);
    assert_eq!(poll(&mut observer, 195, 195, &[member(1, 7)]), vec![]);
}
