use super::*;
use crate::branch::RunState;
use crate::chart::{ChartId, WorkflowName};
use crate::clock::ClockOffset;
use crate::ids::{BranchId, CommitNo, Epoch, Incarnation, RunId};
use crate::throttle::{Limits, Throttle};
use uuid::Uuid;

fn at(second: i64) -> Timestamp {
    Timestamp::from_micros(second * 1_000_000)
}

/// An engine that beat a second ago.
fn engine(name: &str, number: u128) -> Member {
    Member {
        incarnation: Incarnation::new(Uuid::from_u128(number << 96)),
        name: name.to_owned(),
        window: Duration::from_secs(30),
        heartbeat_seq: 7,
        state: MemberState::Alive,
        heartbeat_at: at(100),
        heartbeat_age: Duration::from_secs(1),
        clock_offset: ClockOffset::default(),
        started_at: at(30),
        host: "host".to_owned(),
        pid: 4711,
        version: "0.1.0".to_owned(),
        pool: None,
        concurrency: 10,
        address: None,
        running: 3,
        heard: None,
    }
}

fn run(pool: Option<&str>) -> RunRecord {
    RunRecord {
        id: RunId::new(Uuid::nil()),
        name: WorkflowName {
            namespace: "ns".to_owned(),
            name: "wf".to_owned(),
            version: "1".to_owned(),
        },
        chart: ChartId::of("source"),
        state: RunState::Running,
        input: "{}".to_owned(),
        outcome: None,
        started_at: at(0),
        ended_at: None,
        parent: None,
        pool: pool.map(str::to_owned),
        priority: 0,
    }
}

fn branch(state: BranchState, owner: Option<&Member>) -> BranchRecord {
    BranchRecord {
        id: BranchId::new(Uuid::nil()),
        run: RunId::new(Uuid::nil()),
        parent: None,
        index: 0,
        state,
        owner: owner.map(|member| member.incarnation),
        engine: owner.map(|member| member.name.clone()),
        epoch: Epoch(1),
        commit_no: CommitNo(4),
        node: "/do/0".to_owned(),
        due_at: Some(at(50)),
        awaits_signals: false,
        awaits_join: false,
        lost: 0,
        pool: None,
        fault: None,
        updated_at: at(50),
    }
}

fn reason(members: &[Member], branch: &BranchRecord) -> Reason {
    let scene = Scene {
        run: &run(None),
        members,
        throttles: &[],
        now: at(100),
    };
    scene.reason(branch)
}

fn silent(member: Member, age_ms: u64) -> Member {
    Member {
        heartbeat_age: Duration::from_millis(age_ms),
        ..member
    }
}

/// Ada runs the branch and has been silent for so long; Brian is there.
fn running(age_ms: u64) -> Reason {
    let ada = silent(engine("ada", 1), age_ms);
    let branch = branch(BranchState::Running, Some(&ada));
    reason(&[ada, engine("brian", 2)], &branch)
}

#[test]
fn the_owner_is_named_with_its_heartbeat() {
    let reason = running(1_000);
    let text = "runs on engine ada; its last heartbeat is 1.0 s old";
    assert_eq!(reason.text, text);
    let owner = reason.owner.unwrap_or_default();
    assert_eq!(
        (&owner["engine"], &owner["state"]),
        (&json!("ada"), &json!("alive"))
    );
    // W + W/3 + C of a window of 30 s, a second ago.
    assert_eq!(owner["takeover_within_s"], json!(30.0 + 10.0 + 2.5 - 1.0));
}

#[test]
fn a_suspect_is_taken_over_in_time() {
    assert_eq!(
        running(16_000).text,
        "runs on engine ada; its last heartbeat is 16.0 s old, so it is suspect: its window is \
         30 s; if it stays silent the branch is taken over from commit point 4 within 27 s"
    );
    let late = running(50_000).text;
    assert!(late.contains("commit point 4 is overdue"), "{late}");
}

#[test]
fn nobody_takes_over_from_the_last_engine() {
    let ada = silent(engine("ada", 1), 16_000);
    let branch = branch(BranchState::Running, Some(&ada));
    let reason = reason(&[ada], &branch);
    assert!(reason.text.contains("no other engine lives"), "{reason:?}");
    assert_eq!(
        reason.owner.unwrap_or_default()["takeover_within_s"],
        Value::Null
    );
}

#[test]
fn a_dead_owner_is_named() {
    let ada = Member {
        state: MemberState::Dead,
        ..engine("ada", 1)
    };
    let branch = branch(BranchState::Running, Some(&ada));
    let text = "its engine ada was declared dead; it is being freed at commit point 4";
    assert_eq!(reason(&[ada], &branch).text, text);
}

/// Why nobody takes a branch of the common pool.
fn ready(members: &[Member]) -> String {
    reason(members, &branch(BranchState::Ready, None)).text
}

#[test]
fn a_ready_branch_says_why_nobody_takes_it() {
    let nobody = "ready, but no engine is alive; `flux start` starts one";
    assert_eq!(ready(&[]), nobody);
    let elsewhere = Member {
        pool: Some("run-1".to_owned()),
        ..engine("run", 3)
    };
    assert_eq!(
        ready(std::slice::from_ref(&elsewhere)),
        nobody,
        "not in its pool"
    );
    let full = Member {
        running: 10,
        ..engine("ada", 1)
    };
    let text = "ready, but all slots are taken: ada runs 10 of 10";
    assert_eq!(ready(&[full.clone(), elsewhere]), text);
    let free = "ready; an engine takes it at its next look for work: ada runs 10 of 10, brian \
                runs 3 of 10";
    assert_eq!(ready(&[full, engine("brian", 2)]), free);
    let draining = Member {
        state: MemberState::Draining,
        ..engine("brian", 2)
    };
    let unable = "ready, but no engine can take it: ada has been silent for 16.0 s, brian drains";
    assert_eq!(ready(&[silent(engine("ada", 1), 16_000), draining]), unable);
}

#[test]
fn a_branch_of_flux_run_belongs_to_that() {
    let scene = Scene {
        throttles: &[],
        run: &run(Some("run-1")),
        members: &[engine("ada", 1)],
        now: at(100),
    };
    let private = BranchRecord {
        pool: Some("run-1".to_owned()),
        ..branch(BranchState::Ready, None)
    };
    let text = scene.reason(&private).text;
    assert!(text.contains("flux run --resume"), "{text}");
}

#[test]
fn a_later_time_and_lost_engines_are_told() {
    let mut later = branch(BranchState::Ready, None);
    later.due_at = Some(at(101));
    let text = reason(&[], &later).text;
    assert_eq!(text, "ready, but due at 1970-01-01T00:01:41Z");
    let mut lost = branch(BranchState::Ready, None);
    lost.lost = 2;
    let text = reason(&[engine("ada", 1)], &lost).text;
    assert!(
        text.ends_with("it has lost 2 engines since commit point 4"),
        "{text}"
    );
}

#[test]
fn a_waiting_branch_names_all_that_it_waits_for() {
    let mut waiting = branch(BranchState::Waiting, None);
    waiting.awaits_join = true;
    let text = "waits for its branches or its sub-workflow, or its time, 1970-01-01T00:00:50Z";
    assert_eq!(reason(&[], &waiting).text, text);
    (waiting.awaits_join, waiting.due_at) = (false, None);
    assert_eq!(reason(&[], &waiting).text, "waits for nothing");
}

#[test]
fn a_full_throttle_is_named_with_its_holders() {
    let members = [engine("ada", 1), engine("brian", 2)];
    let record = |cluster, engine, holders: &[(&str, u32)]| ThrottleRecord {
        throttle: Throttle {
            scope: "ns".parse().expect("a scope"),
            limits: Limits { cluster, engine },
        },
        holders: holders
            .iter()
            .map(|(name, n)| ((*name).to_owned(), *n))
            .collect(),
        waiting: 1,
    };
    let why = |record: ThrottleRecord| {
        let mut run = run(None);
        run.name.namespace = "ns".to_owned();
        let scene = Scene {
            run: &run,
            members: &members,
            throttles: &[record],
            now: at(100),
        };
        scene.reason(&branch(BranchState::Ready, None)).text
    };
    let both = [("ada", 2), ("brian", 1)];
    assert_eq!(
        why(record(Some(3), None, &both)),
        "ready, but the throttle of ns has no slot left: 3 of 3 in the cluster are taken (ada has 2, \
         brian has 1); `flux throttle set ns` changes it"
    );
    assert!(why(record(Some(0), None, &[])).contains("0 of 0 in the cluster are taken;"));
    assert!(why(record(None, Some(1), &both)).contains("1 on each engine, and all are taken"));
    assert!(why(record(None, Some(2), &both)).starts_with("ready; an engine takes it"));
    assert!(why(record(Some(4), None, &both)).starts_with("ready; an engine takes it"));
}

#[test]
fn missing_labels_are_named() {
    let labelled = Member {
        pool: Some("zone=eu".to_owned()),
        ..engine("ada", 1)
    };
    let pinned = BranchRecord {
        pool: Some("gpu=a100".to_owned()),
        ..branch(BranchState::Ready, None)
    };
    let text = reason(&[labelled, engine("brian", 2)], &pinned).text;
    assert_eq!(
        text,
        "ready, but no engine has the labels gpu=a100 that it requires (ada has zone=eu, brian has \
         none); `flux start --labels gpu=a100` starts one"
    );
}
