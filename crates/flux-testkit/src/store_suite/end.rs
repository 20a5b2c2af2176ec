//! The end of a run.

use std::time::Duration;

use flux_core::branch::{BranchState, RunState};
use flux_core::chart::Rest;
use flux_core::ids::CommitNo;
use flux_core::ports::branches::{Commit, Committed, JoinWake, Then, Wait};
use flux_core::ports::definitions::{Firing, NewDefinition, NewSchedule};
use flux_core::ports::runs::{Outcome, Signalled};

use super::fixture::*;

/// The run ends with its first branch, and has its outcome.
pub async fn the_first_branch_ends_the_run(ports: Ports) {
    ports.deploy().await;
    let owner = ports.engine(1).await;
    let cases = [
        (1, completed(), RunState::Completed, BranchState::Finished),
        (2, faulted(), RunState::Faulted, BranchState::Failed),
        (
            3,
            Outcome::Cancelled,
            RunState::Cancelled,
            BranchState::Finished,
        ),
    ];
    for (number, outcome, run_state, branch_state) in cases {
        ports.submit(vec![run(number)]).await;
        let claimed = ports.claim_one(owner).await;
        let (woke, _) = ports.stored(commit(&claimed, ends(outcome.clone()))).await;
        assert!(!woke);
        let record = ports.run(number).await;
        assert_eq!((record.state, record.outcome), (run_state, Some(outcome)));
        assert_eq!(record.ended_at, Some(at(20)));
        let record = ports.branch(number, number).await;
        assert_eq!((record.state, record.owner), (branch_state, None));
        assert_eq!(record.commit_no, CommitNo(1));
    }
    assert_eq!(ports.store.owned(owner).await, Ok(vec![]));
}

/// A failed run stays at its last commit point, to be sent back there; a finished one moves on.
pub async fn a_failed_branch_keeps_its_commit_point(ports: Ports) {
    let (_, claimed) = ports.running().await;
    let claimed = ports.goes_on(claimed).await;
    let failing = Commit {
        node: "/do/2".to_owned(),
        ..commit(&claimed, ends(faulted()))
    };
    ports.stored(failing).await;
    let record = ports.branch(1, 1).await;
    assert_eq!(
        (record.state, record.node.as_str()),
        (BranchState::Failed, "/do/1")
    );
    let Outcome::Faulted { fault } = faulted() else {
        unreachable!()
    };
    assert_eq!(record.fault, Some(fault));
}

/// `run: true` of any branch ends the run; the others are cancelled.
pub async fn any_branch_may_end_the_run(ports: Ports) {
    let (owner, _) = ports.split(JoinWake { ok: 2, fault: 1 }).await;
    let mut branches = ports.claims(owner, 10, 20).await.branches;
    branches.sort_by_key(|claimed| claimed.branch);
    let ending = commit(&branches[0], ends_run(completed()));
    let (_, cancelled) = ports.stored(ending).await;
    assert_eq!(cancelled, [branch_id(12)]);
    let record = ports.run(1).await;
    assert_eq!(
        (record.state, record.outcome),
        (RunState::Completed, Some(completed()))
    );
    for record in ports.branches(1).await {
        assert_eq!((record.state, record.owner), (BranchState::Finished, None));
    }
    let late = ports.commit(commit(&branches[1], ends(faulted()))).await;
    assert_eq!(late, Committed::Fenced);
    assert_eq!(ports.run(1).await.outcome, Some(completed()));
    assert!(ports.claims(owner, 10, 99).await.branches.is_empty());
}

/// A branch of a split that faults with `run: true` faults the run.
pub async fn any_branch_may_fault_the_run(ports: Ports) {
    let (owner, _) = ports.split(JoinWake { ok: 2, fault: 1 }).await;
    let branches = ports.claims(owner, 10, 20).await.branches;
    ports
        .stored(commit(&branches[0], ends_run(faulted())))
        .await;
    let record = ports.run(1).await;
    assert_eq!(
        (record.state, record.outcome),
        (RunState::Faulted, Some(faulted()))
    );
}

/// A branch of a split that ends takes with it what it has split off itself.
pub async fn the_end_of_a_branch_cancels_its_own_branches(ports: Ports) {
    let (owner, _) = ports.split(JoinWake { ok: 2, fault: 2 }).await;
    let branches = ports.claims(owner, 10, 20).await.branches;
    let inner = Wait {
        due_at: Some(at(25)),
        join: Some(JoinWake { ok: 1, fault: 1 }),
        branches: vec![new_branch(21)],
        child: Some(run(2)),
        ..Wait::default()
    };
    ports.stored(commit(&branches[0], waits(inner))).await;
    let mut claims = ports.claims(owner, 10, 30).await.branches;
    claims.retain(|claimed| claimed.branch == branches[0].branch);
    let (_, cancelled) = ports.stored(commit(&claims[0], ends(completed()))).await;
    assert_eq!(cancelled, [branch_id(2), branch_id(21)]);
    assert_eq!(ports.branch(1, 21).await.state, BranchState::Finished);
    assert_eq!(ports.run(2).await.state, RunState::Cancelled);
    assert_eq!(ports.run(1).await.state, RunState::Running);
}

/// Branches that were cut loose end with their run.
pub async fn the_end_cancels_what_was_cut_loose(ports: Ports) {
    let (owner, _) = ports.split(JoinWake { ok: 1, fault: 1 }).await;
    let mut branches = ports.claims(owner, 10, 20).await.branches;
    branches.sort_by_key(|claimed| claimed.branch);
    ports.stored(commit(&branches[0], ends(completed()))).await;
    let parent = ports.claims(owner, 10, 30).await.branches.remove(0);
    let ending = Commit {
        join_over: Some(Rest::Leave),
        ..commit(&parent, ends(completed()))
    };
    assert_eq!(ports.stored(ending).await.1, [branch_id(12)]);
    assert_eq!(ports.branch(1, 12).await.state, BranchState::Finished);
}

/// Child runs that nobody waits for any more are cancelled with the run, to any depth.
pub async fn the_end_cancels_child_runs(ports: Ports) {
    let (owner, claimed) = ports.running().await;
    let waits_for = |number, due| {
        waits(Wait {
            due_at: due,
            join: Some(JoinWake { ok: 1, fault: 1 }),
            child: Some(run(number)),
            ..Wait::default()
        })
    };
    ports
        .stored(commit(&claimed, waits_for(2, Some(at(25)))))
        .await;
    let child = ports.claim_one(owner).await;
    ports.stored(commit(&child, waits_for(3, None))).await;
    let grandchild = ports.claim_one(owner).await;
    let parent = ports.claims(owner, 10, 30).await.branches.remove(0);
    let (_, cancelled) = ports.stored(commit(&parent, ends(faulted()))).await;
    assert_eq!(cancelled, [branch_id(3)]);
    for number in [2, 3] {
        let record = ports.run(number).await;
        assert_eq!(record.state, RunState::Cancelled);
        assert_eq!(record.ended_at, Some(at(20)));
        assert_eq!(
            ports.branch(number, number).await.state,
            BranchState::Finished
        );
    }
    let late = ports.commit(commit(&grandchild, Then::Run)).await;
    assert_eq!(late, Committed::Fenced);
}

/// An ended run hears nothing any more: neither published events nor signals.
pub async fn an_ended_run_does_not_listen(ports: Ports) {
    ports.deploy().await;
    let owner = ports.engine(1).await;
    ports.submit(vec![listening(1, Some("kind")), run(2)]).await;
    let claimed = ports.claim_all(owner).await;
    let publishing = Commit {
        published: vec![event("a", "kind")],
        ..commit(&claimed[0], ends(completed()))
    };
    ports.stored(publishing).await;
    let publishing = Commit {
        published: vec![event("b", "kind")],
        ..commit(&claimed[1], Then::Run)
    };
    let (woke, _) = ports.stored(publishing).await;
    assert!(!woke);
    let ended = Signalled::Ended(RunState::Completed);
    assert_eq!(ports.signal(1, event("c", "kind")).await, ended);
}

/// An `after` schedule becomes due when its run has ended, however it ended.
pub async fn an_after_schedule_goes_on_from_the_end(ports: Ports) {
    let schedule = NewSchedule {
        due_at: at(5),
        after: Some(Duration::from_secs(100)),
    };
    let scheduled = NewDefinition {
        schedule: Some(schedule),
        ..definition("wf", "1", "source")
    };
    ports.store.deploy(scheduled).await.expect("deploy");
    let owner = ports.engine(1).await;
    let firing = Firing {
        name: name("wf", "1"),
        due_at: at(5),
        next: None,
        runs: vec![run(1)],
    };
    assert_eq!(ports.store.fire(firing).await, Ok(true));
    let waiting = ports.store.schedules().await.expect("schedules").remove(0);
    assert_eq!((waiting.due_at, waiting.last_run), (None, Some(run_id(1))));
    assert!(!waiting.last_run_ended);
    let claimed = ports.claim_one(owner).await;
    ports.stored(commit(&claimed, ends(faulted()))).await;
    let due = ports.store.schedules().await.expect("schedules").remove(0);
    assert_eq!(due.due_at, Some(at(120)));
    assert!(due.last_run_ended);
}
