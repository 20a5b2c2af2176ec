//! S5, S6, L3, and the half of S7 that only actions can tell: what really happened outside.

use super::{Case, Checked, secs};
use crate::history::{Held, Nanos, RunEntry, Violation};
use crate::witness::Mark;
use std::collections::{BTreeMap, BTreeSet};

/// One attempt of an action: from its first mark to its last. It may have lived longer.
struct Attempt<'e> {
    key: &'e str,
    epoch: u64,
    began: Nanos,
    last: Nanos,
}

fn marks<'e>(case: &Case<'e>) -> Result<&'e [Mark], String> {
    match case.evidence.marks.as_slice() {
        [] => Err("no action left a mark".to_owned()),
        marks => Ok(marks),
    }
}

/// By branch, in the order of their beginning.
fn attempts(marks: &[Mark]) -> BTreeMap<&str, Vec<Attempt<'_>>> {
    let mut all: BTreeMap<&str, Vec<Attempt>> = BTreeMap::new();
    for mark in marks {
        let of_branch = all.entry(mark.branch()).or_default();
        let same = |attempt: &&mut Attempt| attempt.key == mark.key && attempt.epoch == mark.epoch;
        match of_branch
            .iter_mut()
            .rev()
            .find(same)
            .filter(|_| !mark.begins())
        {
            Some(attempt) => attempt.last = attempt.last.max(mark.at),
            None => of_branch.push(Attempt {
                key: &mark.key,
                epoch: mark.epoch,
                began: mark.at,
                last: mark.at,
            }),
        }
    }
    all
}

/// S5. No action of a branch begins while another one still shows life, or after a later owner's.
/// A machine that stood still for longer than the guard time, within a window, excuses it.
pub(super) fn none_at_once(case: &Case) -> Checked {
    case.nothing_undone()?;
    let mut found = Vec::new();
    for (branch, attempts) in attempts(marks(case)?) {
        for pair in attempts.windows(2) {
            let (before, after) = (&pair[0], &pair[1]);
            let stale = after.epoch < before.epoch;
            if (before.last <= after.began && !stale) || excused(case, branch, before, after) {
                continue;
            }
            let says = if stale {
                format!(
                    "action {} began after the action {} of epoch {}",
                    after.key, before.key, before.epoch
                )
            } else {
                format!(
                    "action {} began {} before the action {} of epoch {} was dead",
                    after.key,
                    secs(before.last - after.began),
                    before.key,
                    before.epoch
                )
            };
            found.push(Violation::new(says).branch(branch).epoch(after.epoch));
        }
    }
    Ok(found)
}

fn excused(case: &Case, branch: &str, before: &Attempt, after: &Attempt) -> bool {
    let owner = case.owner(branch, before.epoch.min(after.epoch));
    owner
        .and_then(|owner| case.life(owner))
        .is_some_and(|life| {
            let from = after.began.saturating_sub(life.window);
            case.stalled(life.guard(), from, before.last.max(after.began))
        })
}

/// S6. A step that is told to have completed has begun; a key belongs to one step; each attempt of
/// it has a higher epoch. A step is known to leave marks when it left one in any run.
pub(super) fn at_least_once(case: &Case) -> Checked {
    case.nothing_undone()?;
    let marks = marks(case)?;
    let mut found = Vec::new();
    let mut steps: BTreeMap<&str, &Mark> = BTreeMap::new();
    for mark in marks.iter().filter(|mark| mark.begins()) {
        let Some(last) = steps.insert(&mark.key, mark) else {
            continue;
        };
        let says = if last.node != mark.node {
            format!(
                "key {} is used by {} and {}",
                mark.key, last.node, mark.node
            )
        } else if mark.epoch <= last.epoch {
            format!(
                "action {} began again, its token was {} before",
                mark.key, last.epoch
            )
        } else {
            continue;
        };
        found.push(Violation::new(says).branch(mark.branch()).epoch(mark.epoch));
    }
    let begun: BTreeSet<_> = marks
        .iter()
        .map(|mark| (mark.branch(), mark.node.as_str()))
        .collect();
    let leave_marks = leave_marks(case);
    for run in &case.evidence.record.runs {
        for commit in &run.commits {
            for (_, node) in commit.events.iter().filter(|(kind, _)| kind == "completed") {
                let has = begun.contains(&(commit.branch.as_str(), node));
                if !has && leave_marks.contains(&(run.workflow.as_str(), node)) {
                    let says = format!(
                        "{node} completed at commit point {}, and never began",
                        commit.number
                    );
                    found.push(Violation::new(says).run(&run.id).branch(&commit.branch));
                }
            }
        }
    }
    Ok(found)
}

/// Workflows and those of their nodes that left marks in any run.
fn leave_marks<'e>(case: &Case<'e>) -> BTreeSet<(&'e str, &'e str)> {
    let mut all = BTreeSet::new();
    for run in &case.evidence.record.runs {
        for branch in &run.branches {
            let marks = case.marks_of(&branch.id).iter();
            all.extend(marks.map(|mark| (run.workflow.as_str(), mark.node.as_str())));
        }
    }
    all
}

/// L3. Nothing shows life beyond what the last heartbeat of its owner allowed.
pub(super) fn own_loss_first(case: &Case) -> Checked {
    /// The system's list of clock readings has hundredths of a second.
    const GRAIN: Nanos = 20_000_000;
    case.trail()?;
    let mut found = Vec::new();
    for mark in marks(case)? {
        let owner = case.only_owner(mark.branch(), mark.epoch);
        let Some(life) = owner.and_then(|owner| case.life(owner)) else {
            continue;
        };
        let Some((sent, _)) = life.last_beat(mark.at) else {
            continue;
        };
        let allowed = sent + life.window - life.guard();
        if mark.at > allowed + GRAIN && !case.stalled(life.guard(), sent, mark.at) {
            let says = format!(
                "action {} was alive {} after its owner {} had lost the right to it",
                mark.key,
                secs(mark.at - allowed),
                life.engine
            );
            found.push(Violation::new(says).branch(mark.branch()).epoch(mark.epoch));
        }
    }
    Ok(found)
}

/// Actions of this claim that began again though a commit point had stored their end. A `try` that
/// repeats its block fires the same numbers again, so branches with one are left out.
pub(super) fn begun_again(case: &Case, run: &RunEntry, held: &Held) -> Vec<Violation> {
    let commits = run.commits_of(&held.branch);
    let events = || commits.iter().flat_map(|commit| &commit.events);
    if events().any(|(kind, _)| kind == "retry") {
        return Vec::new();
    }
    let marks = case.marks_of(&held.branch).iter().copied();
    let marks: Vec<&Mark> = marks.filter(|mark| mark.begins()).collect();
    let mut found = Vec::new();
    for mark in marks.iter().filter(|mark| mark.epoch == held.epoch) {
        let before = commits
            .iter()
            .filter(|commit| commit.number <= held.commit_no);
        let done = before.flat_map(|commit| &commit.events);
        let done = done
            .filter(|(kind, node)| kind == "completed" && *node == mark.node)
            .count();
        let firings: BTreeSet<u64> = marks
            .iter()
            .filter(|other| other.node == mark.node)
            .map(|m| m.firing())
            .collect();
        let rank = firings.range(..mark.firing()).count();
        if rank < done {
            let says = format!(
                "action {} began again, though its end was behind commit point {}",
                mark.key, held.commit_no
            );
            found.push(super::about(held, says));
        }
    }
    found
}
