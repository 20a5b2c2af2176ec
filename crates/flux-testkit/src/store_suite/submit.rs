//! Starting runs.

use flux_core::branch::{BranchState, RunState};
use flux_core::ids::{CommitNo, Epoch};
use flux_core::ports::Error;
use flux_core::ports::runs::{NewRun, RunRecord, Submitted};

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
