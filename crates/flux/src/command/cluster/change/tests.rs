use super::super::samples::{ahead, engine, failover};
use super::*;
use flux_core::ports::members::MemberState;
use std::time::Duration;

fn look(members: &[Member]) -> Look {
    Look {
        members: members.to_vec(),
        failovers: Vec::new(),
    }
}

fn told(changes: &[Change]) -> Vec<(&'static str, &str)> {
    let each = changes.iter();
    each.map(|change| (change.kind, change.text.as_str()))
        .collect()
}

#[test]
fn the_first_look_shows_who_is_there_and_what_to_worry_about() {
    let members = [engine("ada", 1), ahead(engine("brian", 2), 60)];
    let changes = present(&look(&members));
    let told = told(&changes);
    assert_eq!(
        told[0],
        ("present", "engine ada is alive, runs 3 of 10 branches")
    );
    assert_eq!(told[1].0, "present");
    assert_eq!(told[2].0, "warning");
    assert!(told[2].1.contains("brian +60.0 s"), "{told:?}");
    assert_eq!(told.len(), 3);
    assert_eq!(present(&Look::default()), []);
}

#[test]
fn engines_come_and_go_and_work() {
    let (ada, brian) = (engine("ada", 1), engine("brian", 2));
    let busy = Member {
        running: 4,
        ..ada.clone()
    };
    let changes = changes(&look(&[ada, brian]), &look(&[busy, engine("grace", 3)]));
    let expected = [
        ("joined", "engine grace has joined"),
        ("left", "engine brian has left"),
        ("running", "engine ada runs 4 of 10 branches"),
        ("running", "engine grace runs 3 of 10 branches"),
    ];
    assert_eq!(told(&changes), expected);
    assert_eq!(changes[2].data["running"], json!(4));
}

#[test]
fn nothing_new_is_nothing() {
    let mut before = look(&[engine("ada", 1), ahead(engine("brian", 2), 60)]);
    let died = failover(&engine("eve", 9), &engine("ada", 1), 2);
    before.failovers.push(died);
    let mut after = before.clone();
    after.members[0].heartbeat_seq += 1;
    after.members[1].clock_offset = ahead(engine("brian", 2), 61).clock_offset;
    assert_eq!(changes(&before, &after), []);
}

#[test]
fn an_engine_falls_silent_and_is_taken_over() {
    let (ada, brian) = (engine("ada", 1), engine("brian", 2));
    let silent = Member {
        heartbeat_age: Duration::from_millis(16_200),
        ..ada.clone()
    };
    let dead = Member {
        state: MemberState::Dead,
        ..silent.clone()
    };
    let died = |branches| Look {
        members: vec![dead.clone(), brian.clone()],
        failovers: vec![failover(&ada, &brian, branches)],
    };
    let gone = Look {
        members: vec![brian.clone()],
        ..died(3)
    };
    let looks = [
        look(&[ada.clone(), brian.clone()]),
        look(&[silent, brian.clone()]),
        died(0),
        died(2),
        gone,
    ];
    let all: Vec<Change> = looks
        .windows(2)
        .flat_map(|pair| changes(&pair[0], &pair[1]))
        .collect();
    let expected = [
        (
            "suspect",
            "engine ada is suspect: no heartbeat for 16.2 s of its window of 30 s",
        ),
        (
            "dead",
            "engine ada was declared dead by brian: its heartbeat 7 had not changed for 30.2 s",
        ),
        (
            "failover",
            "failover: 2 branches of engine ada are free at their commit points, 2 in all",
        ),
        (
            "failover",
            "failover: 1 branches of engine ada are free at their commit points, 3 in all",
        ),
    ];
    assert_eq!(told(&all), expected);
    assert_eq!(all[2].data["branches"], json!(2));
}

#[test]
fn an_engine_that_died_between_two_looks_is_told_of() {
    let (ada, brian) = (engine("ada", 1), engine("brian", 2));
    let after = Look {
        members: vec![brian.clone()],
        failovers: vec![failover(&ada, &brian, 1)],
    };
    let changes = changes(&look(&[ada, brian]), &after);
    let kinds: Vec<_> = changes.iter().map(|change| change.kind).collect();
    assert_eq!(kinds, ["dead", "failover"]);
}

#[test]
fn warnings_come_and_are_over() {
    let (right, wrong) = (engine("ada", 1), ahead(engine("ada", 1), -3));
    let (right, wrong) = (look(&[right]), look(&[wrong]));
    assert_eq!(changes(&right, &wrong)[0].kind, "warning");
    let over = changes(&wrong, &right);
    assert_eq!(
        told(&over),
        [("over", "all clocks agree with the database's again")]
    );
}

#[test]
fn draining_and_being_alive_again_are_told() {
    let ada = engine("ada", 1);
    let draining = Member {
        state: MemberState::Draining,
        ..ada.clone()
    };
    let silent = Member {
        heartbeat_age: Duration::from_secs(20),
        ..ada.clone()
    };
    let change = |before: &Member, after: &Member| {
        let one = |member| look(std::slice::from_ref(member));
        let changes = changes(&one(before), &one(after));
        changes[0].text.clone()
    };
    assert_eq!(change(&silent, &ada), "engine ada is alive again");
    let text = "engine ada is draining: it claims nothing any more";
    assert_eq!(change(&ada, &draining), text);
}
