//! Events: to one run, and to all that listen.

use flux_core::branch::{BranchState, RunState};
use flux_core::ports::branches::{Commit, Then, Wait};
use flux_core::ports::runs::{Event, Signalled};

use super::fixture::*;

fn for_signals(after: u64) -> Wait {
    Wait {
        signals_after: Some(after),
        ..Wait::default()
    }
}

/// The same source and id again changes nothing; another source is another event.
pub async fn an_event_is_taken_once(ports: Ports) {
    let (owner, claimed) = ports.running().await;
    assert_eq!(
        ports.signal(1, event("a", "kind")).await,
        Signalled::Accepted
    );
    assert_eq!(
        ports.signal(1, event("a", "kind")).await,
        Signalled::Duplicate
    );
    assert_eq!(
        ports.signal(1, event("a", "other")).await,
        Signalled::Duplicate
    );
    let other = Event {
        source: "other".to_owned(),
        ..event("a", "kind")
    };
    assert_eq!(ports.signal(1, other).await, Signalled::Accepted);
    ports.stored(commit(&claimed, waits(for_signals(0)))).await;
    let claimed = ports.claims(owner, 1, 30).await.branches.remove(0);
    assert_eq!(claimed.signals.len(), 2);
}

/// An event stays known after it was consumed.
pub async fn a_consumed_event_is_still_a_duplicate(ports: Ports) {
    let (owner, claimed) = ports.running().await;
    ports.signal(1, event("a", "kind")).await;
    ports.stored(commit(&claimed, waits(for_signals(0)))).await;
    let claimed = ports.claims(owner, 1, 30).await.branches.remove(0);
    let consuming = Commit {
        consumed: vec![claimed.signals[0].id],
        ..commit(&claimed, Then::Run)
    };
    ports.stored(consuming).await;
    assert_eq!(
        ports.signal(1, event("a", "kind")).await,
        Signalled::Duplicate
    );
}

/// A run that is not there, and one that has ended, take nothing.
pub async fn nobody_is_told_after_the_end(ports: Ports) {
    let (_, claimed) = ports.running().await;
    assert_eq!(
        ports.signal(9, event("a", "kind")).await,
        Signalled::NotFound
    );
    ports.signal(1, event("a", "kind")).await;
    ports.stored(commit(&claimed, ends(faulted()))).await;
    let ended = Signalled::Ended(RunState::Faulted);
    assert_eq!(ports.signal(1, event("a", "kind")).await, ended);
    assert_eq!(ports.signal(1, event("b", "kind")).await, ended);
}

/// A signal wakes the branches of its run that wait for signals, and no other.
pub async fn a_signal_wakes_who_waits_for_it(ports: Ports) {
    let (owner, first) = ports.running().await;
    ports.submit(vec![run(2), run(3)]).await;
    let others = ports.claim_all(owner).await;
    ports.stored(commit(&first, waits(for_signals(0)))).await;
    ports
        .stored(commit(&others[0], waits(for_signals(0))))
        .await;
    ports
        .stored(commit(&others[1], waits(Wait::default())))
        .await;
    assert_eq!(
        ports.signal(1, event("a", "kind")).await,
        Signalled::Accepted
    );
    assert_eq!(
        ports.signal(3, event("a", "kind")).await,
        Signalled::Accepted
    );
    assert_eq!(ports.branch(1, 1).await.state, BranchState::Ready);
    assert_eq!(ports.branch(2, 2).await.state, BranchState::Waiting);
    assert_eq!(ports.branch(3, 3).await.state, BranchState::Waiting);
    assert_eq!(ports.run(1).await.state, RunState::Running);
    let woken = ports.claims(owner, 10, 30).await.branches;
    assert_eq!(woken.len(), 1);
    assert_eq!(woken[0].signals.len(), 1);
}

/// A signal that came before the wait wakes at once.
pub async fn a_signal_that_is_there_wakes_at_once(ports: Ports) {
    let (owner, claimed) = ports.running().await;
    ports.signal(1, event("a", "kind")).await;
    let (woke, _) = ports.stored(commit(&claimed, waits(for_signals(0)))).await;
    assert!(woke);
    let claimed = ports.claims(owner, 1, 30).await.branches.remove(0);
    let seen = claimed.signals[0].seq;
    let (woke, _) = ports
        .stored(commit(&claimed, waits(for_signals(seen))))
        .await;
    assert!(!woke, "it has seen that one");
    assert!(ports.claims(owner, 1, 30).await.branches.is_empty());
}

/// Published events reach the unfinished runs that listen to their type, or to all.
pub async fn published_events_reach_who_listens(ports: Ports) {
    let (owner, first) = ports.running().await;
    ports
        .submit(vec![
            listening(2, Some("kind")),
            listening(3, None),
            listening(4, Some("other")),
            listening(5, Some("kind")),
        ])
        .await;
    let listeners = ports.claim_all(owner).await;
    for listener in &listeners[..3] {
        ports.stored(commit(listener, waits(for_signals(0)))).await;
    }
    ports.stored(commit(&listeners[3], ends(completed()))).await;
    let publishing = Commit {
        published: vec![event("a", "kind"), event("a", "kind")],
        ..commit(&first, Then::Run)
    };
    let (woke, _) = ports.stored(publishing).await;
    assert!(woke);
    let mut woken = ports.claims(owner, 10, 30).await.branches;
    woken.sort_by_key(|claimed| claimed.branch);
    let who: Vec<_> = woken.iter().map(|claimed| claimed.branch).collect();
    assert_eq!(who, [branch_id(2), branch_id(3)]);
    assert!(woken.iter().all(|claimed| claimed.signals.len() == 1));
    assert_eq!(
        ports.signal(2, event("a", "kind")).await,
        Signalled::Duplicate
    );
}

/// An event that is published before the listener waits is kept for it.
pub async fn a_published_event_is_kept(ports: Ports) {
    let (owner, first) = ports.running().await;
    ports.submit(vec![listening(2, Some("kind"))]).await;
    let publishing = Commit {
        published: vec![event("a", "kind")],
        ..commit(&first, ends(completed()))
    };
    ports.stored(publishing).await;
    let listener = ports.claim_one(owner).await;
    let (woke, _) = ports.stored(commit(&listener, waits(for_signals(0)))).await;
    assert!(woke);
}

/// A run that listens to its own event gets it.
pub async fn a_run_hears_itself(ports: Ports) {
    ports.deploy().await;
    let owner = ports.engine(1).await;
    ports.submit(vec![listening(1, Some("kind"))]).await;
    let claimed = ports.claim_one(owner).await;
    let publishing = Commit {
        published: vec![event("a", "kind")],
        ..commit(&claimed, waits(for_signals(0)))
    };
    let (woke, _) = ports.stored(publishing).await;
    assert!(woke);
    assert_eq!(
        ports.claims(owner, 1, 30).await.branches[0].signals.len(),
        1
    );
}
