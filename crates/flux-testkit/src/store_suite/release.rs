//! Giving a branch back at its commit point.

use flux_core::branch::BranchState;
use flux_core::ids::{CommitNo, Epoch};
use flux_core::ports::branches::{Claimed, JoinWake, Release, ReleaseTo, Wait};

use super::fixture::*;

async fn release(ports: &Ports, claimed: &Claimed, to: ReleaseTo) {
    let release = Release {
        branch: claimed.branch,
        fence: claimed.fence,
        now: at(20),
        to,
    };
    assert_eq!(ports.store.release(release).await, Ok(true));
}

/// A released branch is ready at once, unchanged, and leaves no commit point.
pub async fn a_released_branch_is_ready(ports: Ports) {
    let (owner, claimed) = ports.running().await;
    release(&ports, &claimed, ReleaseTo::Ready).await;
    let record = ports.branch(1, 1).await;
    assert_eq!((record.state, record.owner), (BranchState::Ready, None));
    assert_eq!((record.epoch, record.commit_no), (Epoch(1), CommitNo(0)));
    assert_eq!(record.lost, 0);
    assert_eq!(ports.store.history(run_id(1)).await, Ok(vec![]));
    assert_eq!(ports.store.owned(owner).await, Ok(vec![]));
    let again = ports.claims(owner, 1, 20).await.branches.remove(0);
    assert_eq!(again.memory, claimed.memory);
    assert_eq!(again.fence.epoch, Epoch(2));
}

/// A branch is given back once.
pub async fn a_second_release_is_fenced(ports: Ports) {
    let (_, claimed) = ports.running().await;
    release(&ports, &claimed, ReleaseTo::Ready).await;
    let again = Release {
        branch: claimed.branch,
        fence: claimed.fence,
        now: at(20),
        to: ReleaseTo::Ready,
    };
    assert_eq!(ports.store.release(again).await, Ok(false));
}

/// A trigger that found nothing waits again.
pub async fn a_released_branch_waits_again(ports: Ports) {
    let (owner, claimed) = ports.running().await;
    let wait = Wait {
        due_at: Some(at(60)),
        ..Wait::default()
    };
    release(&ports, &claimed, ReleaseTo::Wait(wait)).await;
    let record = ports.branch(1, 1).await;
    assert_eq!((record.state, record.owner), (BranchState::Waiting, None));
    assert_eq!(
        (record.due_at, record.commit_no),
        (Some(at(60)), CommitNo(0))
    );
    assert!(ports.claims(owner, 1, 59).await.branches.is_empty());
    assert_eq!(ports.claims(owner, 1, 60).await.branches.len(), 1);
}

/// Who waits again for signals that are there is ready at once.
pub async fn a_release_to_what_is_there_is_ready(ports: Ports) {
    let (_, claimed) = ports.running().await;
    ports.signal(1, event("a", "kind")).await;
    let wait = Wait {
        signals_after: Some(0),
        ..Wait::default()
    };
    release(&ports, &claimed, ReleaseTo::Wait(wait)).await;
    assert_eq!(ports.branch(1, 1).await.state, BranchState::Ready);
}

/// The next owner is told again what the branch was woken by.
pub async fn a_released_branch_gets_its_signals_again(ports: Ports) {
    let (owner, claimed) = ports.running().await;
    ports.signal(1, event("a", "kind")).await;
    let wait = Wait {
        signals_after: Some(0),
        ..Wait::default()
    };
    ports.stored(commit(&claimed, waits(wait))).await;
    let woken = ports.claims(owner, 1, 30).await.branches.remove(0);
    release(&ports, &woken, ReleaseTo::Ready).await;
    let again = ports.claims(owner, 1, 30).await.branches.remove(0);
    assert_eq!(again.signals, woken.signals);
    assert_eq!(again.signals.len(), 1);
}

/// The same for the results of a split.
pub async fn a_released_branch_gets_its_arrivals_again(ports: Ports) {
    let (owner, _) = ports.split(JoinWake { ok: 1, fault: 1 }).await;
    let branches = ports.claims(owner, 10, 20).await.branches;
    ports.stored(commit(&branches[0], ends(completed()))).await;
    let woken = ports.claims(owner, 1, 30).await.branches.remove(0);
    release(&ports, &woken, ReleaseTo::Ready).await;
    let again = ports.claims(owner, 1, 30).await.branches.remove(0);
    assert_eq!(again.branch, branch_id(1));
    assert_eq!(again.arrivals.len(), 1);
}
