use super::*;
use crate::command::cluster::samples::{at, incarnation};
use flux_core::ids::{BranchId, CommitNo, Epoch, RunId};
use uuid::Uuid;

fn entry(engine: &str, commit_no: u64, epoch: u64, events: &Value) -> HistoryRecord {
    HistoryRecord {
        branch: BranchId::new(Uuid::nil()),
        commit_no: CommitNo(commit_no),
        epoch: Epoch(epoch),
        engine: engine.to_owned(),
        at: at(i64::try_from(epoch).unwrap_or_default()),
        node: "/do/1".to_owned(),
        events: events.to_string(),
    }
}

fn takeover(poisoned: bool) -> HistoryRecord {
    let from = incarnation(1).to_string();
    let event = json!({"type": "takeover", "from": from, "lost": 1, "poisoned": poisoned});
    entry("ada", 3, 2, &json!([event]))
}

fn branch(state: BranchState, engine: Option<&str>) -> BranchRecord {
    BranchRecord {
        id: BranchId::new(Uuid::nil()),
        run: RunId::new(Uuid::nil()),
        parent: None,
        index: 0,
        state,
        owner: engine.map(|_| incarnation(2)),
        engine: engine.map(str::to_owned),
        epoch: Epoch(3),
        commit_no: CommitNo(3),
        node: "/do/1".to_owned(),
        due_at: None,
        awaits_signals: false,
        awaits_join: false,
        pool: None,
        lost: 1,
        fault: None,
        updated_at: at(40),
    }
}

/// What follows the head line of a takeover.
fn told(takeover: &HistoryRecord, later: &[HistoryRecord], branch: BranchRecord) -> Vec<String> {
    let mut history = vec![takeover.clone()];
    history.extend_from_slice(later);
    let lines = lines(takeover, &history, &[branch]);
    lines[1..]
        .iter()
        .map(|line| line.trim().to_owned())
        .collect()
}

const FROM: &str = "taken over from engine ada (00000001), which died: back to commit point 3";

#[test]
fn a_takeover_tells_from_whom_and_where_it_went_on() {
    let told = |later: &[HistoryRecord], branch| told(&takeover(false), later, branch);
    let waiting = branch(BranchState::Ready, None);
    let not_yet = "has not gone on yet; `flux why` says what it waits for";
    assert_eq!(told(&[], waiting), [FROM, not_yet]);
    let claimed = branch(BranchState::Running, Some("brian"));
    let now = "went on on brian at 1970-01-01T00:00:40Z";
    assert_eq!(told(&[], claimed.clone()), [FROM, now]);
    // A takeover of the next commit point stands for no commit.
    let mut again = takeover(false);
    (again.commit_no, again.epoch) = (CommitNo(4), Epoch(9));
    let next = entry("grace", 4, 7, &json!([]));
    let then = "went on on grace at 1970-01-01T00:00:07Z";
    assert_eq!(told(&[again, next], claimed), [FROM, then]);
}

#[test]
fn a_poisoned_branch_does_not_go_on() {
    let told = told(&takeover(true), &[], branch(BranchState::Failed, None));
    let failed = format!("{FROM}; failed, because it has lost 1 engines in a row");
    assert_eq!(told, [failed.as_str(), "did not go on: it has ended"]);
}

#[test]
fn a_commit_point_tells_nothing_of_takeovers() {
    let commit = entry("ada", 3, 1, &json!([{"type": "done", "task": "a"}]));
    let told = told(&commit, &[], branch(BranchState::Ready, None));
    assert_eq!(told, ["done a"]);
}
