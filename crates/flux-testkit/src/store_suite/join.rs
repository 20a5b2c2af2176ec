//! Arrivals of branches, and the end of a join.

use flux_core::branch::{BranchState, RunState};
use flux_core::chart::Rest;
use flux_core::ports::branches::{Commit, JoinWake, Then, Wait};
use flux_core::ports::runs::Outcome;

use super::fixture::*;

/// The parent wakes with the last success it needs, and gets all results by index.
pub async fn enough_successes_wake(ports: Ports) {
    let (owner, _) = ports.split(JoinWake { ok: 2, fault: 1 }).await;
    let mut branches = ports.claims(owner, 10, 20).await.branches;
    branches.sort_by_key(|claimed| claimed.branch);
    let (woke, _) = ports.stored(commit(&branches[1], ends(completed()))).await;
    assert!(!woke);
    assert_eq!(ports.branch(1, 1).await.state, BranchState::Waiting);
    let (woke, _) = ports.stored(commit(&branches[0], ends(completed()))).await;
    assert!(woke);
    let parent = ports.claims(owner, 10, 30).await.branches.remove(0);
    let indexes: Vec<_> = parent.arrivals.iter().map(|a| a.index).collect();
    assert_eq!(indexes, [0, 1]);
    assert!(parent.arrivals.iter().all(|a| a.outcome == completed()));
    assert_eq!(parent.arrivals[0].context.as_deref(), Some(r#"{"c":1}"#));
    let ended = ports.branch(1, 11).await;
    assert_eq!(ended.state, BranchState::Finished);
    assert_eq!(ended.owner, None);
}

/// Faults count for themselves, and so do cancellations.
pub async fn enough_faults_wake(ports: Ports) {
    let (owner, _) = ports.split(JoinWake { ok: 1, fault: 2 }).await;
    let mut branches = ports.claims(owner, 10, 20).await.branches;
    branches.sort_by_key(|claimed| claimed.branch);
    let first = commit(&branches[0], ends(faulted()));
    assert!(!ports.stored(first).await.0);
    let second = commit(&branches[1], ends(Outcome::Cancelled));
    assert!(ports.stored(second).await.0);
    let parent = ports.claims(owner, 10, 30).await.branches.remove(0);
    let outcomes: Vec<_> = parent.arrivals.iter().map(|a| &a.outcome).collect();
    assert_eq!(outcomes, [&faulted(), &Outcome::Cancelled]);
}

/// A branch that faulted is shown with its fault.
pub async fn a_faulted_branch_shows_its_fault(ports: Ports) {
    let (owner, _) = ports.split(JoinWake { ok: 2, fault: 2 }).await;
    let branches = ports.claims(owner, 10, 20).await.branches;
    let first = branches.iter().find(|c| c.branch == branch_id(11));
    let first = first.expect("it was claimed");
    ports.stored(commit(first, ends(faulted()))).await;
    let record = ports.branch(1, 11).await;
    let Outcome::Faulted { fault } = faulted() else {
        unreachable!()
    };
    assert_eq!(record.state, BranchState::Finished);
    assert_eq!(record.fault, Some(fault));
    assert_eq!(ports.run(1).await.state, RunState::Running);
}

/// A join that is satisfied when the wait begins wakes at once.
pub async fn a_join_that_is_satisfied_wakes_at_once(ports: Ports) {
    let (owner, _) = ports.split(JoinWake { ok: 1, fault: 1 }).await;
    let branches = ports.claims(owner, 10, 20).await.branches;
    ports.stored(commit(&branches[0], ends(completed()))).await;
    let parent = ports.claims(owner, 10, 30).await.branches.remove(0);
    let again = Wait {
        join: Some(JoinWake { ok: 1, fault: 1 }),
        ..Wait::default()
    };
    let (woke, _) = ports.stored(commit(&parent, waits(again))).await;
    assert!(woke, "the arrival is still there");
    let parent = ports.claims(owner, 10, 30).await.branches.remove(0);
    let more = Wait {
        join: Some(JoinWake { ok: 2, fault: 1 }),
        ..Wait::default()
    };
    let (woke, _) = ports.stored(commit(&parent, waits(more))).await;
    assert!(!woke);
    ports.stored(commit(&branches[1], ends(completed()))).await;
    assert_eq!(ports.claims(owner, 10, 30).await.branches.len(), 1);
}

/// A join that needs nothing is over before it begins.
pub async fn a_join_of_nothing_wakes_at_once(ports: Ports) {
    let (_, claimed) = ports.running().await;
    let wait = Wait {
        join: Some(JoinWake { ok: 0, fault: 1 }),
        ..Wait::default()
    };
    assert!(ports.stored(commit(&claimed, waits(wait))).await.0);
    assert_eq!(ports.branch(1, 1).await.state, BranchState::Ready);
}

/// `Cancel`: arrivals are forgotten, the rest is cancelled, with everything it has started.
pub async fn the_rest_is_cancelled(ports: Ports) {
    let (owner, _) = ports.split(JoinWake { ok: 1, fault: 2 }).await;
    let mut branches = ports.claims(owner, 10, 20).await.branches;
    branches.sort_by_key(|claimed| claimed.branch);
    // The second branch splits again, and its branch waits for a child run.
    let inner = Wait {
        join: Some(JoinWake { ok: 1, fault: 1 }),
        branches: vec![new_branch(21)],
        ..Wait::default()
    };
    ports.stored(commit(&branches[1], waits(inner))).await;
    let inner = ports.claims(owner, 1, 20).await.branches.remove(0);
    let child = Wait {
        join: Some(JoinWake { ok: 1, fault: 1 }),
        child: Some(run(2)),
        ..Wait::default()
    };
    ports.stored(commit(&inner, waits(child))).await;
    let child = ports.claim_one(owner).await;
    ports.stored(commit(&branches[0], ends(completed()))).await;
    let parent = ports.claims(owner, 10, 30).await.branches.remove(0);
    let over = Commit {
        join_over: Some(Rest::Cancel),
        ..commit(&parent, Then::Run)
    };
    let (_, cancelled) = ports.stored(over).await;
    assert_eq!(cancelled, [branch_id(2)], "the only one that is owned");
    for number in [12, 21] {
        let record = ports.branch(1, number).await;
        assert_eq!(record.state, BranchState::Finished, "{number}");
        assert_eq!(record.fault, None);
    }
    assert_eq!(ports.run(2).await.state, RunState::Cancelled);
    assert_eq!(ports.run(2).await.outcome, Some(Outcome::Cancelled));
    assert_eq!(ports.run(1).await.state, RunState::Running);
    let late = ports.commit(commit(&child, Then::Run)).await;
    assert_eq!(late, flux_core::ports::branches::Committed::Fenced);
}

/// The answer names the branches that some engine may be running.
pub async fn running_branches_are_named_when_cancelled(ports: Ports) {
    let (owner, _) = ports.split(JoinWake { ok: 1, fault: 2 }).await;
    let mut branches = ports.claims(owner, 10, 20).await.branches;
    branches.sort_by_key(|claimed| claimed.branch);
    ports.stored(commit(&branches[0], ends(completed()))).await;
    let parent = ports.claims(owner, 10, 30).await.branches.remove(0);
    let over = Commit {
        join_over: Some(Rest::Cancel),
        ..commit(&parent, Then::Run)
    };
    assert_eq!(ports.stored(over).await.1, [branch_id(12)]);
    assert_eq!(ports.store.owned(owner).await.expect("owned").len(), 1);
}

/// `Leave`: the rest goes on and its end arrives nowhere.
pub async fn the_rest_is_cut_loose(ports: Ports) {
    let (owner, _) = ports.split(JoinWake { ok: 1, fault: 2 }).await;
    let mut branches = ports.claims(owner, 10, 20).await.branches;
    branches.sort_by_key(|claimed| claimed.branch);
    ports.stored(commit(&branches[0], ends(completed()))).await;
    let parent = ports.claims(owner, 10, 30).await.branches.remove(0);
    let again = Wait {
        join: Some(JoinWake { ok: 1, fault: 1 }),
        ..Wait::default()
    };
    let over = Commit {
        join_over: Some(Rest::Leave),
        ..commit(&parent, waits(again))
    };
    let (woke, cancelled) = ports.stored(over).await;
    assert_eq!(
        (woke, cancelled),
        (false, vec![]),
        "the arrival is forgotten"
    );
    let (woke, _) = ports.stored(commit(&branches[1], ends(completed()))).await;
    assert!(!woke);
    assert_eq!(ports.branch(1, 1).await.state, BranchState::Waiting);
    assert_eq!(ports.branch(1, 12).await.state, BranchState::Finished);
}

/// A child run that is cut loose outlives its parent's run.
pub async fn a_child_run_is_cut_loose(ports: Ports) {
    let (owner, claimed) = ports.running().await;
    let wait = Wait {
        due_at: Some(at(25)),
        join: Some(JoinWake { ok: 1, fault: 1 }),
        child: Some(run(2)),
        ..Wait::default()
    };
    ports.stored(commit(&claimed, waits(wait))).await;
    let child = ports.claim_one(owner).await;
    let parent = ports.claims(owner, 10, 30).await.branches.remove(0);
    let over = Commit {
        join_over: Some(Rest::Leave),
        ..commit(&parent, Then::Run)
    };
    ports.stored(over).await;
    assert_eq!(ports.run(2).await.parent, None);
    let mut parent = parent;
    parent.fence.commit_no = parent.fence.commit_no.next();
    ports.stored(commit(&parent, ends(completed()))).await;
    assert_eq!(ports.run(2).await.state, RunState::Running);
    ports.stored(commit(&child, ends(completed()))).await;
    assert_eq!(ports.run(2).await.state, RunState::Completed);
}

/// The next split of the same branch begins without arrivals.
pub async fn a_second_split_starts_anew(ports: Ports) {
    let (owner, _) = ports.split(JoinWake { ok: 2, fault: 1 }).await;
    for claimed in ports.claims(owner, 10, 20).await.branches {
        ports.stored(commit(&claimed, ends(completed()))).await;
    }
    let parent = ports.claims(owner, 10, 30).await.branches.remove(0);
    let second = Wait {
        join: Some(JoinWake { ok: 1, fault: 1 }),
        branches: vec![new_branch(31)],
        ..Wait::default()
    };
    let over = Commit {
        join_over: Some(Rest::Cancel),
        ..commit(&parent, waits(second))
    };
    ports.stored(over).await;
    assert_eq!(ports.branch(1, 1).await.state, BranchState::Waiting);
    let claimed = ports.claims(owner, 10, 30).await.branches.remove(0);
    assert_eq!(
        claimed.branch,
        branch_id(31),
        "the new branch is not cancelled"
    );
    ports.stored(commit(&claimed, ends(faulted()))).await;
    let parent = ports.claims(owner, 10, 30).await.branches.remove(0);
    assert_eq!(parent.arrivals.len(), 1);
    assert_eq!(parent.arrivals[0].outcome, faulted());
}
