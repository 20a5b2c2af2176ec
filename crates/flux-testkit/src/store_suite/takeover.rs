//! Freeing what a dead engine ran.

use flux_core::branch::{BranchState, RunState};
use flux_core::chart::FaultKind;
use flux_core::ids::{CommitNo, Epoch, Incarnation};
use flux_core::ports::branches::{ClaimRequest, JoinWake, Wait};
use flux_core::ports::members::Takeover;
use flux_core::ports::runs::{Outcome, Resumed, TakeoverRecord};

use super::fixture::*;

async fn take_over(ports: &Ports, dead: Incarnation, by: Incarnation, limit: u32) -> Vec<Takeover> {
    let freed = ports.members.take_over(dead, by, limit, 3, at(60)).await;
    freed.expect("take over")
}

/// A freed branch is ready at its commit point, its epoch and its count of lost engines raised.
pub async fn a_branch_is_freed_at_its_commit_point(ports: Ports) {
    let (dead, claimed) = ports.running().await;
    ports.goes_on(claimed).await;
    let by = ports.engine(2).await;
    ports.kill(dead, by).await;
    let expected = Takeover {
        branch: branch_id(1),
        run: run_id(1),
        from: dead,
        commit_no: CommitNo(1),
        node: "/do/1".to_owned(),
        poisoned: false,
        at: at(60),
    };
    assert_eq!(take_over(&ports, dead, by, 10).await, [expected]);
    let record = ports.branch(1, 1).await;
    assert_eq!((record.state, record.owner), (BranchState::Ready, None));
    assert_eq!((record.epoch, record.commit_no), (Epoch(2), CommitNo(1)));
    assert_eq!((record.lost, record.due_at), (1, Some(at(60))));
    let claimed = ports.claims(by, 10, 60).await.branches.remove(0);
    assert_eq!((claimed.fence.epoch, claimed.lost), (Epoch(3), 1));
    assert_eq!(claimed.memory, "committed");
}

/// Branches that have lost as many engines as the claimer says come to an engine one at a time; the
/// others wait a little, for another engine or for the end of that one.
pub async fn suspects_are_claimed_one_at_a_time(ports: Ports) {
    ports.deploy().await;
    let (dead, by, other) = (
        ports.engine(1).await,
        ports.engine(2).await,
        ports.engine(3).await,
    );
    ports.submit((1..=3).map(run).collect()).await;
    assert_eq!(ports.claims(dead, 10, 10).await.branches.len(), 3);
    ports.kill(dead, by).await;
    assert_eq!(take_over(&ports, dead, by, 10).await.len(), 3);
    for (owner, now, taken) in [(by, 60, 1), (by, 62, 0), (other, 64, 1), (other, 66, 0)] {
        let request = ClaimRequest {
            owner,
            limit: 10,
            pool: None,
            now: at(now),
            alone_from: 1,
            count: 0,
        };
        let claims = ports.store.claim(request).await.expect("claim");
        assert_eq!(claims.branches.len(), taken, "at second {now}");
    }
    ports.submit(vec![run(4)]).await;
    let fresh = ports.claims(by, 1, 100).await.branches;
    assert_eq!(fresh.len(), 1, "an engine with a suspect takes other work");
}

/// Batches are bounded; an empty one says that nothing is left.
pub async fn batches_are_bounded(ports: Ports) {
    ports.deploy().await;
    let (dead, by) = (ports.engine(1).await, ports.engine(2).await);
    ports.submit((1..=5).map(run).collect()).await;
    assert_eq!(ports.claims(dead, 10, 10).await.branches.len(), 5);
    ports.kill(dead, by).await;
    let mut freed = Vec::new();
    for size in [2, 2, 1, 0] {
        let batch = take_over(&ports, dead, by, 2).await;
        assert_eq!(batch.len(), size);
        freed.extend(batch.iter().map(|takeover| takeover.branch));
    }
    freed.sort();
    let expected: Vec<_> = (1..=5).map(branch_id).collect();
    assert_eq!(freed, expected);
    let failovers = ports.store.failovers(1).await.expect("failovers");
    assert_eq!(failovers[0].branches, 5);
}

/// What was freed from an engine is told with where it was, and only that.
pub async fn takeovers_are_listed_by_engine(ports: Ports) {
    let (dead, claimed) = ports.running().await;
    ports.goes_on(claimed).await;
    let by = ports.engine(2).await;
    ports.submit(vec![run(2)]).await;
    assert_eq!(ports.claims(dead, 9, 20).await.branches.len(), 1);
    ports.kill(dead, by).await;
    assert_eq!(take_over(&ports, dead, by, 10).await.len(), 2);
    let record = |number: u32, commit_no, node: &str| TakeoverRecord {
        branch: branch_id(number),
        run: run_id(number),
        epoch: Epoch(2),
        commit_no: CommitNo(commit_no),
        node: node.to_owned(),
        lost: 1,
        poisoned: false,
        at: at(60),
        resumed: Resumed::NotYet,
    };
    let expected = [record(1, 1, "/do/1"), record(2, 0, "/")];
    let takeovers = async |from, limit| ports.store.takeovers(from, limit).await;
    assert_eq!(takeovers(dead, 9).await, Ok(expected.to_vec()));
    assert_eq!(takeovers(dead, 1).await, Ok(expected[..1].to_vec()));
    assert_eq!(takeovers(by, 9).await, Ok(vec![]));
}

async fn resumed(ports: &Ports, from: Incarnation) -> Resumed {
    let mut takeovers = ports.store.takeovers(from, 9).await.expect("takeovers");
    assert_eq!(takeovers.len(), 1, "{takeovers:?}");
    takeovers.remove(0).resumed
}

/// It goes on with the engine that claims it; for ever after, with the one that commits next.
pub async fn a_takeover_tells_where_the_branch_went_on(ports: Ports) {
    let (first, _) = ports.running().await;
    let (second, third) = (ports.engine(2).await, ports.engine(3).await);
    let by = |number: u32, second| Resumed::By {
        engine: format!("engine-{number}"),
        at: at(second),
    };
    ports.kill(first, third).await;
    take_over(&ports, first, third, 10).await;
    assert_eq!(resumed(&ports, first).await, Resumed::NotYet);
    assert_eq!(ports.claims(second, 1, 62).await.branches.len(), 1);
    assert_eq!(resumed(&ports, first).await, by(2, 62));
    // Lost again at the same commit point.
    ports.kill(second, third).await;
    take_over(&ports, second, third, 10).await;
    assert_eq!(resumed(&ports, first).await, Resumed::NotYet);
    let claimed = ports.claims(third, 1, 64).await.branches.remove(0);
    assert_eq!(resumed(&ports, second).await, by(3, 64));
    ports.goes_on(claimed).await;
    for from in [first, second] {
        assert_eq!(resumed(&ports, from).await, by(3, 20), "the next commit");
    }
}

/// A branch that failed, because it had lost too many engines, does not go on.
pub async fn a_branch_that_ended_never_resumes(ports: Ports) {
    ports.deploy().await;
    let (dead, by) = (ports.engine(1).await, ports.engine(2).await);
    ports.submit(vec![run(1)]).await;
    assert_eq!(ports.claims(dead, 1, 10).await.branches.len(), 1);
    ports.kill(dead, by).await;
    let freed = ports.members.take_over(dead, by, 9, 1, at(60)).await;
    assert_eq!(freed.map(|freed| freed.len()), Ok(1));
    let takeovers = ports.store.takeovers(dead, 9).await.expect("takeovers");
    assert!(takeovers[0].poisoned);
    assert_eq!(takeovers[0].resumed, Resumed::Never);
}

/// Nothing is taken from an engine that was not convicted.
pub async fn nothing_is_taken_from_the_living(ports: Ports) {
    let (owner, _) = ports.running().await;
    let by = ports.engine(2).await;
    let before = ports.branches(1).await;
    // Whether it is refused or finds nothing: no branch moves.
    let taken = ports.members.take_over(owner, by, 10, 5, at(60)).await;
    assert_eq!(taken.unwrap_or_default(), []);
    ports.members.set_draining(owner).await.expect("drain");
    let taken = ports.members.take_over(owner, by, 10, 5, at(60)).await;
    assert_eq!(taken.unwrap_or_default(), []);
    assert_eq!(ports.branches(1).await, before);
}

/// Waiting branches have no owner, and others' are others'.
pub async fn only_running_branches_of_the_dead_are_freed(ports: Ports) {
    let (dead, first) = ports.running().await;
    let by = ports.engine(2).await;
    ports.submit(vec![run(2), run(3)]).await;
    let waiting = ports.claims(dead, 1, 10).await.branches.remove(0);
    ports.claims(by, 1, 10).await;
    let wait = Wait {
        due_at: Some(at(99)),
        ..Wait::default()
    };
    ports.stored(commit(&waiting, waits(wait))).await;
    ports.kill(dead, by).await;
    let (second, third) = (ports.branch(2, 2).await, ports.branch(3, 3).await);
    let freed = take_over(&ports, dead, by, 10).await;
    assert_eq!(freed.len(), 1);
    assert_eq!(freed[0].branch, first.branch);
    assert_eq!(ports.branch(2, 2).await, second);
    assert_eq!(ports.branch(3, 3).await, third);
}

/// Loses `times` engines while they run the only branch that is ready.
async fn lose(ports: &Ports, times: u32, by: Incarnation) -> Takeover {
    let mut last = None;
    for number in 100..100 + times {
        let dead = ports.engine(number).await;
        assert_eq!(ports.claims(dead, 1, 60).await.branches.len(), 1);
        ports.kill(dead, by).await;
        last = take_over(ports, dead, by, 10).await.pop();
    }
    last.expect("it was freed")
}

/// A branch that has lost its engine too often fails, and faults its run.
pub async fn a_poisonous_branch_faults_its_run(ports: Ports) {
    ports.deploy().await;
    let by = ports.engine(1).await;
    ports.submit(vec![run(1)]).await;
    assert!(!lose(&ports, 2, by).await.poisoned);
    assert!(lose_again(&ports, by).await.poisoned);
    let record = ports.branch(1, 1).await;
    assert_eq!((record.state, record.lost), (BranchState::Failed, 3));
    assert_eq!((record.owner, record.epoch), (None, Epoch(6)));
    let fault = record.fault.expect("it has one");
    assert_eq!(fault.kind, FaultKind::Runtime.uri());
    let record = ports.run(1).await;
    assert_eq!(record.state, RunState::Faulted);
    assert_eq!(record.outcome, Some(Outcome::Faulted { fault }));
    assert!(ports.claims(by, 10, 99).await.branches.is_empty());
    assert_eq!(
        ports.store.history(run_id(1)).await.expect("history").len(),
        3
    );
}

async fn lose_again(ports: &Ports, by: Incarnation) -> Takeover {
    let dead = ports.engine(200).await;
    assert_eq!(ports.claims(dead, 1, 60).await.branches.len(), 1);
    ports.kill(dead, by).await;
    let freed = take_over(ports, dead, by, 10).await.pop();
    freed.expect("it was freed")
}

/// A poisonous branch of a split arrives at its join as a fault.
pub async fn a_poisonous_branch_of_a_split_arrives(ports: Ports) {
    let (owner, claimed) = ports.running().await;
    let wait = Wait {
        join: Some(JoinWake { ok: 1, fault: 1 }),
        branches: vec![new_branch(11)],
        ..Wait::default()
    };
    ports.stored(commit(&claimed, waits(wait))).await;
    assert!(lose(&ports, 3, owner).await.poisoned);
    assert_eq!(ports.run(1).await.state, RunState::Running);
    let parent = ports.claims(owner, 1, 60).await.branches.remove(0);
    assert_eq!(parent.branch, branch_id(1));
    let [arrival] = &parent.arrivals[..] else {
        panic!("{:?}", parent.arrivals)
    };
    assert!(matches!(arrival.outcome, Outcome::Faulted { .. }));
}
