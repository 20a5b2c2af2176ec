//! What wakes a waiting branch besides signals: its due time, branches, a child run.

use flux_core::branch::{BranchState, RunState};
use flux_core::ids::{CommitNo, Epoch};
use flux_core::ports::branches::{JoinWake, Outlook, Wait};

use super::fixture::*;

/// Nothing to wait for is waiting for good.
pub async fn waiting_for_nothing_never_ends(ports: Ports) {
    let (owner, claimed) = ports.running().await;
    ports.stored(commit(&claimed, waits(Wait::default()))).await;
    let claims = ports.claims(owner, 10, 1_000_000).await;
    assert!(claims.branches.is_empty());
    assert_eq!(ports.outlook(None, 10).await, Outlook::default());
}

/// A wait that ended leaves no due time behind.
pub async fn a_new_wait_replaces_the_old_one(ports: Ports) {
    let (owner, claimed) = ports.running().await;
    let timer = Wait {
        due_at: Some(at(60)),
        signals_after: Some(0),
        ..Wait::default()
    };
    ports.stored(commit(&claimed, waits(timer))).await;
    let claimed = ports.claims(owner, 1, 60).await.branches.remove(0);
    ports.stored(commit(&claimed, waits(Wait::default()))).await;
    ports.signal(1, event("a", "kind")).await;
    let record = ports.branch(1, 1).await;
    assert_eq!((record.state, record.due_at), (BranchState::Waiting, None));
    assert!(!record.awaits_signals);
}

/// A split makes ready branches, each with its index, memory and node.
pub async fn a_split_makes_branches(ports: Ports) {
    let join = JoinWake { ok: 2, fault: 1 };
    let (owner, _) = ports.split(join).await;
    let parent = ports.branch(1, 1).await;
    assert_eq!(parent.state, BranchState::Waiting);
    assert!(parent.awaits_join);
    for (number, index) in [(11, 0), (12, 1)] {
        let record = ports.branch(1, number).await;
        assert_eq!(record.state, BranchState::Ready);
        assert_eq!((record.parent, record.index), (Some(branch_id(1)), index));
        assert_eq!((record.epoch, record.commit_no), (Epoch(0), CommitNo(0)));
        assert_eq!(record.node, format!("/node/{number}"));
    }
    let claims = ports.claims(owner, 10, 20).await.branches;
    assert_eq!(claims.len(), 2);
    let first = claims.iter().find(|c| c.branch == branch_id(11));
    let first = first.expect("it was claimed");
    assert_eq!((first.memory.as_str(), first.run), ("memory-11", run_id(1)));
    assert_eq!(first.run_input, r#"{"number":1}"#);
    assert_eq!(ports.run(1).await.state, RunState::Running);
}

/// A child run starts with the wait, and says whose child it is.
pub async fn a_child_run_starts(ports: Ports) {
    let (owner, claimed) = ports.running().await;
    let wait = Wait {
        join: Some(JoinWake { ok: 1, fault: 1 }),
        child: Some(run(2)),
        ..Wait::default()
    };
    let (woke, _) = ports.stored(commit(&claimed, waits(wait))).await;
    assert!(woke, "the child is ready");
    assert_eq!(ports.run(2).await.parent, Some(branch_id(1)));
    assert_eq!(ports.run(1).await.state, RunState::Waiting);
    let child = ports.claim_one(owner).await;
    assert_eq!(child.run, run_id(2));
    let (woke, _) = ports.stored(commit(&child, ends(completed()))).await;
    assert!(woke);
    let parent = ports.claims(owner, 10, 30).await.branches.remove(0);
    assert_eq!(parent.branch, branch_id(1));
    let [arrival] = &parent.arrivals[..] else {
        panic!("{:?}", parent.arrivals)
    };
    assert_eq!((arrival.index, &arrival.outcome), (0, &completed()));
    assert_eq!(arrival.context.as_deref(), Some(r#"{"c":1}"#));
}

/// The end of a child run counts as a fault when it faulted.
pub async fn a_child_run_that_faults_wakes_its_parent(ports: Ports) {
    let (owner, claimed) = ports.running().await;
    let wait = Wait {
        join: Some(JoinWake { ok: 1, fault: 1 }),
        child: Some(run(2)),
        ..Wait::default()
    };
    ports.stored(commit(&claimed, waits(wait))).await;
    let child = ports.claim_one(owner).await;
    ports.stored(commit(&child, ends(faulted()))).await;
    let parent = ports.claims(owner, 10, 30).await.branches.remove(0);
    assert_eq!(parent.arrivals[0].outcome, faulted());
}
