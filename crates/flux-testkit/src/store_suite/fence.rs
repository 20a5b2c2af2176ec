//! Every owned write is fenced by owner, epoch and commit number, and safe to send again.

use flux_core::branch::RunState;
use flux_core::ids::{CommitNo, SignalId};
use flux_core::ports::branches::{Commit, Committed, Release, ReleaseTo, Then, Wait};
use flux_core::ports::runs::NewRun;
use uuid::Uuid;

use super::fixture::*;

/// Each of the three numbers alone refuses a commit, whatever it does next; nothing is written.
pub async fn each_number_alone_fences_a_commit(ports: Ports) {
    let (_, claimed) = ports.running().await;
    let before = ports.branch(1, 1).await;
    for fence in other_fences(claimed.fence) {
        for then in [Then::Run, waits(Wait::default()), ends(completed())] {
            let refused = Commit {
                fence,
                published: vec![event("a", "kind")],
                spawned: vec![run(9)],
                ..commit(&claimed, then)
            };
            assert_eq!(ports.commit(refused).await, Committed::Fenced, "{fence:?}");
        }
    }
    assert_eq!(ports.branch(1, 1).await, before);
    assert_eq!(ports.store.history(run_id(1)).await, Ok(vec![]));
    assert_eq!(ports.store.run(run_id(9)).await, Ok(None));
    ports.stored(commit(&claimed, Then::Run)).await;
}

/// Each of the three numbers alone refuses a release.
pub async fn each_number_alone_fences_a_release(ports: Ports) {
    let (_, claimed) = ports.running().await;
    let before = ports.branch(1, 1).await;
    for fence in other_fences(claimed.fence) {
        for to in [ReleaseTo::Ready, ReleaseTo::Wait(Wait::default())] {
            let release = Release {
                branch: claimed.branch,
                fence,
                now: at(20),
                to,
            };
            assert_eq!(ports.store.release(release).await, Ok(false), "{fence:?}");
        }
    }
    assert_eq!(ports.branch(1, 1).await, before);
}

/// A branch that nobody knows is fenced too.
pub async fn an_unknown_branch_is_fenced(ports: Ports) {
    let (_, mut claimed) = ports.running().await;
    claimed.branch = branch_id(77);
    let refused = commit(&claimed, Then::Run);
    assert_eq!(ports.commit(refused).await, Committed::Fenced);
}

/// The same commit again is answered as stored and changes nothing, also after it waits or ended.
pub async fn the_same_commit_again_is_stored_once(ports: Ports) {
    for (number, then) in [
        (1, Then::Run),
        (2, waits(Wait::default())),
        (3, ends(completed())),
    ] {
        ports.deploy().await;
        let owner = ports.engine(1).await;
        ports.submit(vec![run(number)]).await;
        let claimed = ports.claim_one(owner).await;
        // Where nobody here claims it.
        let child = NewRun {
            pool: Some("other".to_owned()),
            ..run(number + 50)
        };
        let twice = Commit {
            spawned: vec![child],
            ..commit(&claimed, then)
        };
        ports.stored(twice.clone()).await;
        let (branches, record) = (ports.branches(number).await, ports.run(number).await);
        ports.stored(twice).await;
        assert_eq!(ports.branches(number).await, branches);
        assert_eq!(ports.run(number).await, record);
        let history = ports.store.history(run_id(number)).await.expect("history");
        assert_eq!(history.len(), 1);
    }
}

/// A commit again after the branch went on from it is fenced: its answer is out of date.
pub async fn an_older_commit_again_is_fenced(ports: Ports) {
    let (_, claimed) = ports.running().await;
    let first = commit(&claimed, Then::Run);
    let later = ports.goes_on(claimed).await;
    ports.goes_on(later).await;
    assert_eq!(ports.commit(first).await, Committed::Fenced);
}

/// Another commit with the number of one that is stored is fenced, in whatever it differs.
pub async fn another_commit_with_the_same_number_is_fenced(ports: Ports) {
    let (_, claimed) = ports.running().await;
    let first = || commit(&claimed, Then::Run);
    ports.stored(first()).await;
    let mut others = vec![first(), first(), first(), first(), first(), first()];
    others[0].memory = "other".to_owned();
    others[1].node = "/do/2".to_owned();
    others[2].history = "[]".to_owned();
    others[3].consumed = vec![SignalId::new(Uuid::from_u128(1))];
    others[4].published = vec![event("a", "kind")];
    others[5].spawned = vec![run(9)];
    others.push(commit(&claimed, waits(Wait::default())));
    others.push(commit(&claimed, ends(completed())));
    for other in others {
        let answer = ports.commit(other.clone()).await;
        assert_eq!(answer, Committed::Fenced, "{other:?}");
    }
}

/// Two commits that wait for different things are different.
pub async fn another_wait_with_the_same_number_is_fenced(ports: Ports) {
    let (_, claimed) = ports.running().await;
    ports.stored(commit(&claimed, waits(Wait::default()))).await;
    let other = Wait {
        due_at: Some(at(60)),
        ..Wait::default()
    };
    let answer = ports.commit(commit(&claimed, waits(other))).await;
    assert_eq!(answer, Committed::Fenced);
}

/// Two ends are different when one ends the whole run.
pub async fn another_end_with_the_same_number_is_fenced(ports: Ports) {
    let (_, claimed) = ports.running().await;
    ports.stored(commit(&claimed, ends(completed()))).await;
    for other in [ends(faulted()), ends_run(completed())] {
        let answer = ports.commit(commit(&claimed, other)).await;
        assert_eq!(answer, Committed::Fenced);
    }
    assert_eq!(ports.run(1).await.state, RunState::Completed);
}

/// After a takeover the old owner can neither commit nor release.
pub async fn a_takeover_fences_the_old_owner(ports: Ports) {
    let (owner, claimed) = ports.running().await;
    let by = ports.engine(2).await;
    ports.kill(owner, by).await;
    let freed = ports.members.take_over(owner, by, 10, 5, at(60)).await;
    assert_eq!(freed.expect("take over").len(), 1);
    let late = commit(&claimed, Then::Run);
    assert_eq!(ports.commit(late.clone()).await, Committed::Fenced);
    let again = ports.claims(by, 10, 70).await.branches.remove(0);
    assert_eq!(again.fence.commit_no, CommitNo(0));
    assert_eq!(ports.commit(late).await, Committed::Fenced);
    let release = Release {
        branch: claimed.branch,
        fence: claimed.fence,
        now: at(70),
        to: ReleaseTo::Ready,
    };
    assert_eq!(ports.store.release(release).await, Ok(false));
    ports.stored(commit(&again, Then::Run)).await;
}
