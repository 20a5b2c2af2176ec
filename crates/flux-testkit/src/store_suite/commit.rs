//! What a transaction break stores.

use flux_core::branch::{BranchState, RunState};
use flux_core::ids::{CommitNo, Epoch};
use flux_core::ports::Error;
use flux_core::ports::branches::{Commit, Then, Wait};
use flux_core::ports::runs::HistoryRecord;

use super::fixture::*;

/// Memory and position are stored; the owner goes on under the next number.
pub async fn a_branch_goes_on(ports: Ports) {
    let (owner, claimed) = ports.running().await;
    let (woke, cancelled) = ports.stored(commit(&claimed, Then::Run)).await;
    assert_eq!((woke, cancelled), (false, vec![]));
    let record = ports.branch(1, 1).await;
    assert_eq!(
        (record.state, record.owner),
        (BranchState::Running, Some(owner))
    );
    assert_eq!((record.epoch, record.commit_no), (Epoch(1), CommitNo(1)));
    assert_eq!((record.node.as_str(), record.updated_at), ("/do/1", at(20)));
    assert_eq!(ports.run(1).await.state, RunState::Running);
}

/// Each commit point has one row of history, written with the name of the engine.
pub async fn each_commit_has_a_row_of_history(ports: Ports) {
    let (_, claimed) = ports.running().await;
    let empty = Commit {
        history: "[]".to_owned(),
        ..commit(&claimed, Then::Run)
    };
    ports.stored(empty).await;
    let mut claimed = claimed;
    claimed.fence.commit_no = CommitNo(1);
    let last = Commit {
        now: at(21),
        node: "/do/2".to_owned(),
        ..commit(&claimed, ends(completed()))
    };
    ports.stored(last).await;
    let row = |number, second, node: &str, events: &str| HistoryRecord {
        branch: branch_id(1),
        commit_no: CommitNo(number),
        epoch: Epoch(1),
        engine: "engine-1".to_owned(),
        at: at(second),
        node: node.to_owned(),
        events: events.to_owned(),
    };
    let history = ports.store.history(run_id(1)).await;
    let expected = vec![
        row(1, 20, "/do/1", "[]"),
        row(2, 21, "/do/2", r#"["done"]"#),
    ];
    assert_eq!(history, Ok(expected));
}

/// A commit that waits gives the branch up.
pub async fn a_waiting_branch_has_no_owner(ports: Ports) {
    let (owner, claimed) = ports.running().await;
    let wait = Wait {
        due_at: Some(at(60)),
        signals_after: Some(0),
        ..Wait::default()
    };
    let (woke, _) = ports.stored(commit(&claimed, waits(wait))).await;
    assert!(!woke);
    let record = ports.branch(1, 1).await;
    assert_eq!((record.state, record.owner), (BranchState::Waiting, None));
    assert_eq!(record.due_at, Some(at(60)));
    assert!(record.awaits_signals && !record.awaits_join);
    assert_eq!(ports.store.owned(owner).await, Ok(vec![]));
    assert_eq!(ports.run(1).await.state, RunState::Waiting);
}

/// Signals that were consumed do not come again; the others stay.
pub async fn consumed_signals_are_gone(ports: Ports) {
    let (owner, claimed) = ports.running().await;
    for id in ["a", "b", "c"] {
        ports.signal(1, event(id, "kind")).await;
    }
    let wait = || Wait {
        signals_after: Some(0),
        ..Wait::default()
    };
    ports.stored(commit(&claimed, waits(wait()))).await;
    let claimed = ports.claims(owner, 1, 30).await.branches.remove(0);
    let consuming = Commit {
        consumed: vec![claimed.signals[1].id],
        ..commit(&claimed, waits(wait()))
    };
    ports.stored(consuming).await;
    let claimed = ports.claims(owner, 1, 30).await.branches.remove(0);
    let left: Vec<_> = claimed.signals.iter().map(|s| s.json.as_str()).collect();
    assert_eq!(left, [r#"{"id":"a"}"#, r#"{"id":"c"}"#]);
}

/// A consumed signal's number never comes again: who waits after it would miss the next.
pub async fn numbers_of_signals_only_grow(ports: Ports) {
    let (owner, mut claimed) = ports.running().await;
    let mut last = 0;
    for id in ["a", "b", "c"] {
        ports.signal(1, event(id, "kind")).await;
        let wait = Wait {
            signals_after: Some(last),
            ..Wait::default()
        };
        let consumed = claimed.signals.iter().map(|signal| signal.id).collect();
        let next = Commit {
            consumed,
            ..commit(&claimed, waits(wait))
        };
        ports.stored(next).await;
        claimed = ports.claims(owner, 1, 30).await.branches.remove(0);
        assert_eq!(claimed.signals.len(), 1, "{id}");
        assert!(claimed.signals[0].seq > last);
        last = claimed.signals[0].seq;
    }
}

/// Another run's signal is not consumed.
pub async fn only_signals_of_the_run_are_consumed(ports: Ports) {
    let (owner, first) = ports.running().await;
    ports.submit(vec![run(2)]).await;
    let second = ports.claim_one(owner).await;
    ports.signal(2, event("a", "kind")).await;
    let wait = || Wait {
        signals_after: Some(0),
        ..Wait::default()
    };
    ports.stored(commit(&second, waits(wait()))).await;
    let second = ports.claims(owner, 1, 30).await.branches.remove(0);
    let foreign = Commit {
        consumed: vec![second.signals[0].id],
        ..commit(&first, Then::Run)
    };
    ports.stored(foreign).await;
    ports.stored(commit(&second, waits(wait()))).await;
    let second = ports.claims(owner, 1, 30).await.branches.remove(0);
    assert_eq!(second.signals.len(), 1);
}

/// Runs to start come with the commit; they are nobody's children.
pub async fn spawned_runs_are_started(ports: Ports) {
    let (owner, claimed) = ports.running().await;
    let spawning = Commit {
        spawned: vec![run(2), run(3)],
        ..commit(&claimed, ends(completed()))
    };
    let (woke, _) = ports.stored(spawning).await;
    assert!(woke);
    assert_eq!(ports.run(1).await.state, RunState::Completed);
    assert_eq!(ports.run(2).await.state, RunState::Pending);
    assert_eq!(ports.run(2).await.parent, None);
    assert_eq!(ports.claim_all(owner).await.len(), 2);
}

/// All or nothing: a run that cannot be started leaves the branch at its commit point.
pub async fn a_commit_that_cannot_start_a_run_stores_nothing(ports: Ports) {
    let (_, claimed) = ports.running().await;
    ports.submit(vec![listening(2, Some("kind"))]).await;
    let before = ports.branches(1).await;
    let mut undefined = run(3);
    undefined.chart.0 = "unknown".to_owned();
    let refused = Commit {
        published: vec![event("a", "kind")],
        spawned: vec![run(4), undefined],
        ..commit(&claimed, ends(completed()))
    };
    let answer = ports.store.commit(refused).await;
    assert!(matches!(answer, Err(Error::Internal(_))), "{answer:?}");
    assert_eq!(ports.branches(1).await, before);
    assert_eq!(ports.store.history(run_id(1)).await, Ok(vec![]));
    assert_eq!(ports.store.run(run_id(4)).await, Ok(None));
    ports.stored(commit(&claimed, Then::Run)).await;
}

/// Progress forgives: the count of lost engines starts anew with a commit point.
pub async fn a_commit_forgets_lost_engines(ports: Ports) {
    let (owner, _) = ports.running().await;
    let by = ports.engine(2).await;
    ports.kill(owner, by).await;
    let freed = ports.members.take_over(owner, by, 10, 5, at(60)).await;
    assert_eq!(freed.expect("take over").len(), 1);
    let claimed = ports.claims(by, 1, 70).await.branches.remove(0);
    assert_eq!(claimed.lost, 1);
    ports.stored(commit(&claimed, Then::Run)).await;
    assert_eq!(ports.branch(1, 1).await.lost, 0);
}
