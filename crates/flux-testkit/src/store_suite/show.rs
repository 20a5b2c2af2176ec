//! Looking at branches, histories and failovers.

use flux_core::branch::{BranchState, RunState};
use flux_core::ids::{CommitNo, Epoch};
use flux_core::ports::branches::{Commit, JoinWake, Then, Wait};
use flux_core::ports::runs::FailoverRecord;

use super::fixture::*;

/// What is not there is not an error.
pub async fn nothing_is_shown_of_an_unknown_run(ports: Ports) {
    assert_eq!(ports.store.run(run_id(1)).await, Ok(None));
    assert_eq!(ports.store.branches(run_id(1)).await, Ok(vec![]));
    assert_eq!(ports.store.history(run_id(1)).await, Ok(vec![]));
    assert_eq!(ports.store.failovers(10).await, Ok(vec![]));
}

/// The oldest branch comes first, those of one split by index, whether they have ended or not.
pub async fn branches_are_shown_oldest_first(ports: Ports) {
    let (owner, _) = ports.split(JoinWake { ok: 2, fault: 2 }).await;
    let branches = ports.claims(owner, 10, 20).await.branches;
    let first = branches.iter().find(|c| c.branch == branch_id(11));
    let inner = Wait {
        join: Some(JoinWake { ok: 2, fault: 2 }),
        // Identifiers in the other order: the index decides.
        branches: vec![new_branch(9), new_branch(8)],
        ..Wait::default()
    };
    let later = Commit {
        now: at(30),
        ..commit(first.expect("it was claimed"), waits(inner))
    };
    ports.stored(later).await;
    let second = branches.iter().find(|c| c.branch == branch_id(12));
    let second = second.expect("it was claimed");
    ports.stored(commit(second, ends(completed()))).await;
    let shown: Vec<_> = ports.branches(1).await.iter().map(|b| b.id).collect();
    assert_eq!(shown, [1, 11, 12, 9, 8].map(branch_id));
}

/// A run waits when all its open branches do, and runs when one is ready or running.
pub async fn a_run_waits_when_all_its_branches_wait(ports: Ports) {
    let (owner, _) = ports.split(JoinWake { ok: 2, fault: 1 }).await;
    assert_eq!(ports.run(1).await.state, RunState::Running);
    for claimed in ports.claims(owner, 10, 20).await.branches {
        assert_eq!(ports.run(1).await.state, RunState::Running);
        ports.stored(commit(&claimed, waits(Wait::default()))).await;
    }
    assert_eq!(ports.run(1).await.state, RunState::Waiting);
}

/// What a woken branch waited for is not shown any more.
pub async fn a_ready_branch_awaits_nothing(ports: Ports) {
    let (_, claimed) = ports.running().await;
    let wait = Wait {
        signals_after: Some(0),
        join: Some(JoinWake { ok: 1, fault: 1 }),
        ..Wait::default()
    };
    ports.stored(commit(&claimed, waits(wait))).await;
    let record = ports.branch(1, 1).await;
    assert!(record.awaits_signals && record.awaits_join);
    ports.signal(1, event("a", "kind")).await;
    let record = ports.branch(1, 1).await;
    assert_eq!(record.state, BranchState::Ready);
    assert!(!record.awaits_signals && !record.awaits_join);
    assert_eq!(record.due_at, Some(at(10)));
}

/// Commit points and takeovers are shown together in order of time.
pub async fn takeovers_are_part_of_the_history(ports: Ports) {
    let (owner, claimed) = ports.running().await;
    ports.goes_on(claimed).await;
    let by = ports.engine(2).await;
    ports.kill(owner, by).await;
    let freed = ports.members.take_over(owner, by, 10, 5, at(60)).await;
    assert_eq!(freed.expect("take over").len(), 1);
    let claimed = ports.claims(by, 1, 70).await.branches.remove(0);
    let last = Commit {
        now: at(80),
        ..commit(&claimed, Then::Run)
    };
    ports.stored(last).await;
    let history = ports.store.history(run_id(1)).await.expect("history");
    let rows: Vec<_> = history
        .iter()
        .map(|row| (row.at, row.commit_no, row.epoch, row.engine.as_str()))
        .collect();
    let expected = [
        (at(20), CommitNo(1), Epoch(1), "engine-1"),
        (at(60), CommitNo(1), Epoch(2), "engine-1"),
        (at(80), CommitNo(2), Epoch(3), "engine-2"),
    ];
    assert_eq!(rows, expected);
    let events = format!(r#"[{{"type":"takeover","from":"{owner}","lost":1,"poisoned":false}}]"#);
    assert_eq!(history[1].events, events);
}

/// Convictions are kept, the newest first, with their evidence and what they freed.
pub async fn failovers_are_remembered(ports: Ports) {
    let (first, _) = ports.running().await;
    let (second, by) = (ports.engine(2).await, ports.engine(3).await);
    ports.kill(first, by).await;
    let beat = ports.members.heartbeat(second, at(66)).await;
    assert_eq!(beat, Ok(true));
    // The judge only wanted to join, and is no member.
    let stranger = incarnation(77);
    let gone = ports.members.convict(second, 1, stranger, "gone", at(70));
    assert_eq!(gone.await, Ok(true));
    let freed = ports.members.take_over(first, by, 10, 5, at(60)).await;
    assert_eq!(freed.expect("take over").len(), 1);
    let newest = FailoverRecord {
        from: second,
        from_name: "engine-2".to_owned(),
        heartbeat_seq: 1,
        heartbeat_at: at(66),
        by: stranger,
        by_name: String::new(),
        at: at(70),
        evidence: "gone".to_owned(),
        branches: 0,
    };
    let oldest = FailoverRecord {
        from: first,
        from_name: "engine-1".to_owned(),
        heartbeat_seq: 0,
        heartbeat_at: at(0),
        by,
        by_name: "engine-3".to_owned(),
        at: at(50),
        evidence: "silent".to_owned(),
        branches: 1,
    };
    assert_eq!(ports.store.failovers(1).await, Ok(vec![newest.clone()]));
    assert_eq!(ports.store.failovers(9).await, Ok(vec![newest, oldest]));
}
