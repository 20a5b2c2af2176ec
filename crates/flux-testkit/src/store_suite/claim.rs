//! Taking branches.

use flux_core::branch::{BranchState, RunState};
use flux_core::ids::{BranchId, CommitNo, Epoch};
use flux_core::ports::branches::{ClaimRequest, Claims, JoinWake, Wait};
use flux_core::ports::definitions::NewDefinition;
use flux_core::ports::runs::NewRun;

use super::fixture::*;

fn ids(claims: &Claims) -> Vec<BranchId> {
    claims.branches.iter().map(|c| c.branch).collect()
}

fn until_60() -> Wait {
    Wait {
        due_at: Some(at(60)),
        ..Wait::default()
    }
}

/// A claim hands over everything that an owner needs, and the rows say who owns.
pub async fn a_claim_hands_over_the_branch(ports: Ports) {
    ports.deploy().await;
    let owner = ports.engine(1).await;
    let new = NewRun {
        traceparent: Some("trace".to_owned()),
        ..run(1)
    };
    ports.submit(vec![new.clone()]).await;
    let claimed = ports.claim_one(owner).await;
    assert_eq!((claimed.branch, claimed.run), (branch_id(1), run_id(1)));
    assert_eq!((claimed.chart, claimed.lost), (new.chart, 0));
    assert_eq!(claimed.fence.owner, owner);
    assert_eq!(claimed.fence.epoch, Epoch(1));
    assert_eq!(claimed.fence.commit_no, CommitNo(0));
    assert_eq!((claimed.memory, claimed.run_input), (new.memory, new.input));
    assert_eq!(claimed.run_started_at, at(1));
    assert_eq!(claimed.traceparent.as_deref(), Some("trace"));
    assert!(claimed.pool.is_none() && claimed.signals.is_empty() && claimed.arrivals.is_empty());
    let record = ports.branch(1, 1).await;
    assert_eq!(record.state, BranchState::Running);
    assert_eq!(record.owner, Some(owner));
    assert_eq!(record.engine.as_deref(), Some("engine-1"));
    assert_eq!((record.epoch, record.updated_at), (Epoch(1), at(10)));
    assert_eq!(ports.run(1).await.state, RunState::Running);
}

/// A lower priority number goes first, then what has been due longer.
pub async fn the_most_urgent_come_first(ports: Ports) {
    ports.deploy().await;
    let owner = ports.engine(1).await;
    for (number, priority) in [(3, 5), (1, 5), (4, -1), (2, 5), (5, 9)] {
        let new = NewRun {
            priority,
            ..run(number)
        };
        ports.submit(vec![new]).await;
    }
    let first = ports.claims(owner, 2, 10).await;
    assert_eq!(ids(&first), [branch_id(4), branch_id(1)]);
    let rest = ports.claims(owner, 10, 10).await;
    assert_eq!(ids(&rest), [branch_id(2), branch_id(3), branch_id(5)]);
    assert!(ports.claims(owner, 10, 10).await.branches.is_empty());
}

/// A minute of waiting is worth one priority, so whatever waits gets its turn.
pub async fn waiting_makes_urgent(ports: Ports) {
    ports.deploy().await;
    let owner = ports.engine(1).await;
    for (number, priority) in [(1, 2), (119, 0), (130, 0), (122, -1_000_000)] {
        let new = NewRun {
            priority,
            ..run(number)
        };
        ports.submit(vec![new]).await;
    }
    let claims = ports.claims(owner, 10, 200).await;
    let order = [122, 119, 1, 130].map(branch_id);
    assert_eq!(ids(&claims), order);
}

/// Never more than asked for.
pub async fn a_limit_is_kept(ports: Ports) {
    ports.deploy().await;
    let owner = ports.engine(1).await;
    ports.submit((1..=5).map(run).collect()).await;
    assert_eq!(ports.claims(owner, 0, 10).await.branches.len(), 0);
    assert_eq!(ports.claims(owner, 3, 10).await.branches.len(), 3);
    assert_eq!(ports.claims(owner, 3, 10).await.branches.len(), 2);
}

/// A branch belongs to one pool, and to no other.
pub async fn pools_are_apart(ports: Ports) {
    ports.deploy().await;
    let owner = ports.engine(1).await;
    let pool = Some("special".to_owned());
    ports.submit(vec![pinned(1, "special"), run(2)]).await;
    let other = ports.claims_of(Some("other"), owner, 10, 10).await;
    assert!(other.branches.is_empty());
    assert_eq!(ids(&ports.claims(owner, 10, 10).await), [branch_id(2)]);
    let special = ports.claims_of(Some("special"), owner, 10, 10).await;
    assert_eq!(ids(&special), [branch_id(1)]);
    assert_eq!(special.branches[0].pool, pool);
}

/// An engine with labels takes what requires some of them beside what requires none, the most urgent
/// first; what requires others is left.
pub async fn labels_open_pools(ports: Ports) {
    let pools = ["gpu=a100", "gpu=a100,zone=eu", "gpu=h100"].map(str::to_owned);
    let definition = NewDefinition {
        pools: pools.to_vec(),
        ..definition("wf", "1", "source")
    };
    ports.store.deploy(definition).await.expect("deploy");
    let owner = ports.engine(1).await;
    let pinned = |number, pool: &str| NewRun {
        pool: Some(pool.to_owned()),
        ..run(number)
    };
    let runs = vec![
        run(3),
        pinned(1, "gpu=a100"),
        pinned(2, "gpu=h100"),
        pinned(4, "gpu=a100,zone=eu"),
        run(5),
    ];
    ports.submit(runs).await;
    let labels = Some("gpu=a100,zone=eu");
    let look = ClaimRequest {
        owner,
        limit: 0,
        pool: labels.map(str::to_owned),
        now: at(10),
        alone_from: u32::MAX,
        count: 10,
    };
    let look = ports.store.claim(look).await.expect("claim");
    assert_eq!((look.ready.common, look.ready.pinned), (2, 2));
    let claims = ports.claims_of(labels, owner, 3, 10).await;
    assert_eq!(ids(&claims), [1, 3, 4].map(branch_id));
    assert_eq!(claims.branches[0].pool.as_deref(), Some("gpu=a100"));
    assert_eq!(claims.branches[1].pool, None);
    let claims = ports.claims_of(labels, owner, 10, 10).await;
    assert_eq!(ids(&claims), [branch_id(5)]);
    let claims = ports.claims_of(Some("gpu=h100"), owner, 10, 10).await;
    assert_eq!(ids(&claims), [branch_id(2)]);
}

/// A commit can say where the branch goes on.
pub async fn a_branch_moves_to_another_pool(ports: Ports) {
    let definition = NewDefinition {
        pools: vec!["gpu=a100".to_owned()],
        ..definition("wf", "1", "source")
    };
    ports.store.deploy(definition).await.expect("deploy");
    let owner = ports.engine(1).await;
    ports.submit(vec![run(1)]).await;
    let labels = Some("gpu=a100");
    for (pool, from) in [("gpu=a100", None), ("", labels), ("gpu=a100", None)] {
        let claims = ports.claims_of(from, owner, 10, 30).await;
        let wait = Wait {
            due_at: Some(at(20)),
            pool: Some(pool.to_owned()),
            ..Wait::default()
        };
        ports.stored(commit(&claims.branches[0], waits(wait))).await;
        let shown = ports.branch(1, 1).await.pool;
        assert_eq!(shown.as_deref().unwrap_or_default(), pool);
    }
    assert!(ports.claims(owner, 10, 30).await.branches.is_empty());
}

/// Branches of a split stay in the pool and keep the priority of their parent.
pub async fn a_split_stays_in_its_pool_and_priority(ports: Ports) {
    ports.deploy().await;
    let owner = ports.engine(1).await;
    let special = NewRun {
        pool: Some("special".to_owned()),
        priority: 7,
        ..run(1)
    };
    let urgent = NewRun {
        pool: Some("special".to_owned()),
        priority: 6,
        at: at(30),
        ..run(2)
    };
    ports.submit(vec![special]).await;
    let claims = ports.claims_of(Some("special"), owner, 1, 10).await;
    let wait = Wait {
        join: Some(JoinWake { ok: 1, fault: 1 }),
        branches: vec![new_branch(11)],
        ..Wait::default()
    };
    let split = commit(&claims.branches[0], waits(wait));
    ports.stored(split).await;
    ports.submit(vec![urgent]).await;
    assert!(ports.claims(owner, 10, 40).await.branches.is_empty());
    let claims = ports.claims_of(Some("special"), owner, 10, 40).await;
    assert_eq!(ids(&claims), [branch_id(2), branch_id(11)]);
}

/// Only who is alive gets something: nobody unknown, draining or dead.
pub async fn only_the_living_claim(ports: Ports) {
    ports.deploy().await;
    let (draining, dead) = (ports.engine(1).await, ports.engine(2).await);
    ports.submit(vec![run(1)]).await;
    ports.members.set_draining(draining).await.expect("drain");
    ports.kill(dead, draining).await;
    for owner in [draining, dead, incarnation(3)] {
        let claims = ports.claims(owner, 10, 10).await;
        assert!(claims.branches.is_empty(), "{owner}");
    }
    let alive = ports.engine(4).await;
    assert_eq!(ids(&ports.claims(alive, 10, 10).await), [branch_id(1)]);
}

/// What is owned is nobody else's to take.
pub async fn a_running_branch_is_not_claimed_again(ports: Ports) {
    let (owner, _) = ports.running().await;
    let other = ports.engine(2).await;
    assert!(ports.claims(other, 10, 99).await.branches.is_empty());
    assert!(ports.claims(owner, 10, 99).await.branches.is_empty());
}

/// A branch that waits for a time stays until then.
pub async fn what_is_not_due_yet_stays(ports: Ports) {
    let (owner, claimed) = ports.running().await;
    ports.stored(commit(&claimed, waits(until_60()))).await;
    assert_eq!(ids(&ports.claims(owner, 10, 59).await), []);
    let claims = ports.claims(owner, 10, 60).await;
    assert_eq!(ids(&claims), [branch_id(1)], "due at exactly now");
}

/// Who shares the work with others looks first, and is told how much there is.
pub async fn a_look_takes_nothing_and_counts(ports: Ports) {
    ports.deploy().await;
    let owner = ports.engine(1).await;
    ports.submit((1..=5).map(run).collect()).await;
    let look = |limit, count| ClaimRequest {
        owner,
        limit,
        pool: None,
        now: at(10),
        alone_from: u32::MAX,
        count,
    };
    for (limit, count, taken, ready) in [(0, 9, 0, 5), (0, 3, 0, 3), (2, 9, 2, 3), (1, 0, 1, 0)] {
        let claims = ports.store.claim(look(limit, count)).await.expect("claim");
        assert_eq!(
            (claims.branches.len(), claims.ready.common),
            (taken, ready),
            "{limit} {count}"
        );
    }
}

/// What is ready is taken by an engine whose calendar is behind that of whoever made it ready.
pub async fn what_is_ready_waits_for_no_calendar(ports: Ports) {
    ports.deploy().await;
    let (owner, dead) = (ports.engine(1).await, ports.engine(2).await);
    ports.submit(vec![run(40), run(30)]).await;
    let claims = ports.claims(dead, 1, 10).await;
    assert_eq!(ids(&claims), [branch_id(30)], "the older one first");
    ports.kill(dead, owner).await;
    let freed = ports.members.take_over(dead, owner, 10, 5, at(3_600)).await;
    assert_eq!(freed.expect("take over").len(), 1);
    let claims = ports.claims(owner, 10, 10).await;
    assert_eq!(ids(&claims), [branch_id(40), branch_id(30)]);
}

/// A waiting branch whose time has come is taken like a ready one; its due time counts.
pub async fn a_waiting_branch_is_claimed_when_due(ports: Ports) {
    let (owner, claimed) = ports.running().await;
    ports.stored(commit(&claimed, waits(until_60()))).await;
    ports.submit(vec![run(55), run(65)]).await;
    let early = ports.claims(owner, 1, 56).await;
    assert_eq!(ids(&early), [branch_id(55)]);
    let claims = ports.claims(owner, 10, 70).await;
    assert_eq!(ids(&claims), [branch_id(1), branch_id(65)]);
    let woken = &claims.branches[0];
    assert_eq!(woken.fence.epoch, Epoch(2));
    assert_eq!(woken.fence.commit_no, CommitNo(1));
    assert_eq!(woken.memory, "committed");
}

/// Signals are handed over oldest first, a hundred at most, and only newer ones than waited after.
pub async fn signals_come_with_the_claim(ports: Ports) {
    let (owner, claimed) = ports.running().await;
    for number in 0..103 {
        ports.signal(1, event(&number.to_string(), "kind")).await;
    }
    let wait = |after| Wait {
        signals_after: Some(after),
        ..Wait::default()
    };
    ports.stored(commit(&claimed, waits(wait(0)))).await;
    let claimed = ports.claims(owner, 1, 30).await.branches.remove(0);
    assert_eq!(claimed.signals.len(), 100);
    assert!(claimed.signals.is_sorted_by(|a, b| a.seq < b.seq));
    assert_eq!(claimed.signals[0].json, r#"{"id":"0"}"#);
    assert_eq!(claimed.signals[0].kind, "kind");
    let after = claimed.signals[99].seq;
    ports.stored(commit(&claimed, waits(wait(after)))).await;
    let claimed = ports.claims(owner, 1, 30).await.branches.remove(0);
    let rest: Vec<_> = claimed.signals.iter().map(|s| s.json.as_str()).collect();
    assert_eq!(
        rest,
        [r#"{"id":"100"}"#, r#"{"id":"101"}"#, r#"{"id":"102"}"#]
    );
}

/// Who did not wait for signals gets none, even when the run has some.
pub async fn without_waiting_there_are_no_signals(ports: Ports) {
    let (owner, claimed) = ports.running().await;
    ports.signal(1, event("a", "kind")).await;
    let wait = Wait {
        due_at: Some(at(21)),
        ..Wait::default()
    };
    ports.stored(commit(&claimed, waits(wait))).await;
    let claimed = ports.claims(owner, 1, 30).await.branches.remove(0);
    assert!(claimed.signals.is_empty());
}

/// What an engine owns, with the fences of its claims.
pub async fn owned_lists_what_is_owned(ports: Ports) {
    ports.deploy().await;
    let (owner, other) = (ports.engine(1).await, ports.engine(2).await);
    ports.submit((1..=3).map(run).collect()).await;
    let fences = |claims: Claims| -> Vec<_> {
        let claimed = claims.branches.iter();
        claimed
            .map(|claimed| (claimed.branch, claimed.fence))
            .collect()
    };
    let first = fences(ports.claims(owner, 2, 10).await);
    let rest = fences(ports.claims(other, 2, 10).await);
    let mut owned = ports.store.owned(owner).await.expect("owned");
    owned.sort_by_key(|(branch, _)| *branch);
    assert_eq!(owned, first);
    assert_eq!(first.len(), 2);
    assert_eq!(ports.store.owned(other).await, Ok(rest));
    assert_eq!(ports.store.owned(incarnation(9)).await, Ok(vec![]));
}
