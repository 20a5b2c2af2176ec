//! Starting runs.

use flux_core::branch::{BranchState, RunState};
use flux_core::ids::{CommitNo, Epoch, Incarnation};
use flux_core::ports::Error;
use flux_core::ports::branches::Claimed;
use flux_core::ports::runs::{NewRun, RunRecord, Submitted, Taker};

use super::fixture::*;

fn requested(number: u32, request: &str) -> NewRun {
    NewRun {
        request_id: Some(request.to_owned()),
        ..run(number)
    }
}

fn answer(number: u32, new: bool) -> Submitted {
    Submitted {
        run: run_id(number),
        new,
        taken: false,
    }
}

/// A new run has what was submitted, and one ready branch.
pub async fn a_run_starts(ports: Ports) {
    ports.deploy().await;
    let new = NewRun {
        priority: -3,
        pool: Some("special".to_owned()),
        ..run(1)
    };
    assert_eq!(ports.submit(vec![new.clone()]).await, [answer(1, true)]);
    let expected = RunRecord {
        id: new.id,
        name: new.name,
        chart: new.chart,
        state: RunState::Pending,
        input: new.input,
        outcome: None,
        started_at: at(1),
        ended_at: None,
        parent: None,
        pool: new.pool,
        priority: -3,
    };
    assert_eq!(ports.run(1).await, expected);
    let branches = ports.branches(1).await;
    assert_eq!(branches.len(), 1);
    let branch = &branches[0];
    assert_eq!(
        (branch.id, branch.state),
        (branch_id(1), BranchState::Ready)
    );
    assert_eq!((branch.epoch, branch.commit_no), (Epoch(0), CommitNo(0)));
    assert_eq!((branch.parent, branch.index, branch.lost), (None, 0, 0));
    assert_eq!(branch.due_at, Some(at(1)));
    assert_eq!((branch.owner, &branch.engine), (None, &None));
}

fn taken(number: u32) -> Submitted {
    Submitted {
        taken: true,
        ..answer(number, true)
    }
}

fn taker(owner: Incarnation, limit: u32) -> Taker {
    Taker {
        owner,
        limit,
        pool: None,
    }
}

async fn submit_and_take(ports: &Ports, runs: Vec<NewRun>, taker: Taker) -> Vec<Submitted> {
    let submitted = ports.store.submit_and_take(runs, Some(taker)).await;
    submitted.expect("submit")
}

/// What is taken at once is as if it had been claimed in the same moment, and goes on from there.
pub async fn a_taker_owns_its_part_from_the_first_moment(ports: Ports) {
    ports.deploy().await;
    let owner = ports.engine(1).await;
    let urgent = NewRun {
        priority: -1,
        ..run(3)
    };
    let runs = vec![run(1), run(2), urgent.clone()];
    let submitted = submit_and_take(&ports, runs, taker(owner, 2)).await;
    assert_eq!(submitted, [taken(1), answer(2, true), taken(3)]);
    let row = &ports.branches(3).await[0];
    assert_eq!((row.state, row.owner), (BranchState::Running, Some(owner)));
    assert_eq!((row.epoch, row.commit_no), (Epoch(1), CommitNo(0)));
    let claimed = Claimed::at_submission(urgent, owner);
    let owned = ports.store.owned(owner).await.expect("owned");
    assert!(owned.contains(&(branch_id(3), claimed.fence)), "{owned:?}");
    ports.stored(commit(&claimed, ends(completed()))).await;
    let other = ports.engine(2).await;
    let left = ports.claims(other, 10, 10).await.branches;
    assert_eq!(left.iter().map(|c| c.run).collect::<Vec<_>>(), [run_id(2)]);
}

/// Who came before goes before: nothing is taken past what is ready, in the same pool.
pub async fn nothing_is_taken_past_what_is_ready(ports: Ports) {
    ports.deploy().await;
    let owner = ports.engine(1).await;
    ports.submit(vec![pinned(1, "special")]).await;
    let submitted = submit_and_take(&ports, vec![run(2)], taker(owner, 9)).await;
    assert_eq!(submitted, [taken(2)]);
    ports.submit(vec![run(3)]).await;
    let submitted = submit_and_take(&ports, vec![run(4)], taker(owner, 9)).await;
    assert_eq!(submitted, [answer(4, true)]);
    let claims = ports.claims(owner, 10, 10).await;
    assert_eq!(claims.branches.len(), 2);
}

/// Only what is of the taker's pool, and nothing while there is a throttle.
pub async fn a_taker_has_no_right_to_the_rest(ports: Ports) {
    ports.deploy().await;
    let owner = ports.engine(1).await;
    let elsewhere = vec![pinned(1, "special")];
    let submitted = submit_and_take(&ports, elsewhere, taker(owner, 9)).await;
    assert_eq!(submitted, [answer(1, true)]);
    ports.throttle("ns/other", Some(1), None).await;
    let submitted = submit_and_take(&ports, vec![run(2)], taker(owner, 9)).await;
    assert_eq!(submitted, [answer(2, true)]);
}

/// An engine that is declared dead, drains or is unknown takes nothing; the run starts all the same.
pub async fn only_the_living_take(ports: Ports) {
    ports.deploy().await;
    let (dead, leaving) = (ports.engine(1).await, ports.engine(2).await);
    ports.kill(dead, leaving).await;
    ports.members.set_draining(leaving).await.expect("drain");
    for (number, owner) in [(1, dead), (2, leaving), (3, incarnation(9))] {
        let private = pinned(number, &format!("of {number}"));
        let taker = Taker {
            pool: private.pool.clone(),
            ..taker(owner, 9)
        };
        let submitted = submit_and_take(&ports, vec![private], taker).await;
        assert_eq!(submitted, [answer(number, true)]);
    }
}

/// The same request again takes nothing.
pub async fn what_was_started_before_is_not_taken(ports: Ports) {
    ports.deploy().await;
    let (first, second) = (ports.engine(1).await, ports.engine(2).await);
    let submitted = submit_and_take(&ports, vec![requested(1, "r")], taker(first, 9)).await;
    assert_eq!(submitted, [taken(1)]);
    let again = submit_and_take(&ports, vec![requested(2, "r")], taker(second, 9)).await;
    assert_eq!(again, [answer(1, false)]);
    assert_eq!(ports.branches(1).await[0].owner, Some(first));
}

/// The same request again is answered with the run that it started.
pub async fn a_request_starts_one_run(ports: Ports) {
    ports.deploy().await;
    let first = ports.submit(vec![requested(1, "r")]).await;
    assert_eq!(first, [answer(1, true)]);
    let again = ports
        .submit(vec![requested(2, "r"), requested(3, "s")])
        .await;
    assert_eq!(again, [answer(1, false), answer(3, true)]);
    assert_eq!(ports.store.run(run_id(2)).await, Ok(None));
    assert_eq!(ports.branches(2).await, []);
}

/// The same request twice in one submission starts one run, too.
pub async fn a_request_twice_in_one_call_starts_one_run(ports: Ports) {
    ports.deploy().await;
    let answers = ports
        .submit(vec![requested(1, "r"), requested(2, "r")])
        .await;
    assert_eq!(answers, [answer(1, true), answer(1, false)]);
}

/// A request is remembered after its run has ended.
pub async fn a_request_is_remembered_after_the_end(ports: Ports) {
    ports.deploy().await;
    let owner = ports.engine(1).await;
    ports.submit(vec![requested(1, "r")]).await;
    let claimed = ports.claim_one(owner).await;
    ports.stored(commit(&claimed, ends(completed()))).await;
    let again = ports.submit(vec![requested(2, "r")]).await;
    assert_eq!(again, [answer(1, false)]);
}

/// The same run again changes nothing.
pub async fn the_same_run_is_started_once(ports: Ports) {
    ports.deploy().await;
    ports.submit(vec![run(1)]).await;
    let again = NewRun {
        input: "other".to_owned(),
        ..run(1)
    };
    assert_eq!(ports.submit(vec![again]).await, [answer(1, false)]);
    assert_eq!(ports.run(1).await.input, r#"{"number":1}"#);
    assert_eq!(ports.branches(1).await.len(), 1);
}

/// All or none: one run without a definition keeps the others from starting.
pub async fn all_start_or_none(ports: Ports) {
    ports.deploy().await;
    let mut undefined = run(2);
    undefined.chart.0 = "unknown".to_owned();
    let answer = ports.store.submit(vec![run(1), undefined]).await;
    assert!(matches!(answer, Err(Error::Internal(_))), "{answer:?}");
    assert_eq!(ports.store.run(run_id(1)).await, Ok(None));
    assert_eq!(ports.branches(1).await, []);
    ports.submit(vec![run(1)]).await;
}

/// One caller's mistake is not another's: calls that travel together are judged one by one.
pub async fn a_mistake_of_one_caller_stays_with_it(ports: Ports) {
    ports.deploy().await;
    let mut undefined = run(2);
    undefined.chart.0 = "unknown".to_owned();
    let (good, bad, other) = tokio::join!(
        ports.store.submit(vec![run(1)]),
        ports.store.submit(vec![undefined]),
        ports.store.submit(vec![run(3)]),
    );
    assert_eq!(good, Ok(vec![answer(1, true)]));
    assert!(bad.is_err());
    assert_eq!(other, Ok(vec![answer(3, true)]));
}
