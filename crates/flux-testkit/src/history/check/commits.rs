//! S1, S2, S7, S8: what the commit points of a branch say of its owners.

use super::{Case, Checked, about};
use crate::history::{CommitEntry, RunEntry, Violation, What};
use std::collections::BTreeMap;

/// S1. A branch has one owner in each epoch (of what was not lost), nobody else commits, and epochs
/// never go back.
pub(super) fn one_committer(case: &Case) -> Checked {
    case.trail()?;
    let mut found = Vec::new();
    for ((branch, epoch), holders) in &case.owners {
        if holders.len() > 1 && !case.rules.lost_tail {
            let says = format!("several incarnations held it: {holders:?}");
            found.push(Violation::new(says).branch(branch).epoch(*epoch));
        }
    }
    for run in &case.evidence.record.runs {
        for branch in &run.branches {
            let commits = run.commits_of(&branch.id);
            for pair in commits
                .windows(2)
                .filter(|pair| pair[1].epoch < pair[0].epoch)
            {
                let says = format!(
                    "commit point {} was reached after commit point {} of epoch {}",
                    pair[1].number, pair[0].number, pair[0].epoch
                );
                found.push(of(run, pair[1], says));
            }
            let unclaimed = commits
                .into_iter()
                .filter(|commit| case.owner(&commit.branch, commit.epoch).is_none());
            for commit in unclaimed {
                let says = format!("commit point {}: nobody had claimed it", commit.number);
                found.push(of(run, commit, says));
            }
        }
    }
    Ok(found)
}

fn of(run: &RunEntry, commit: &CommitEntry, says: String) -> Violation {
    Violation::new(says)
        .run(&run.id)
        .branch(&commit.branch)
        .epoch(commit.epoch)
}

/// S2. The commit points of a branch are 1, 2, 3 .. up to the last; each acknowledged one is there,
/// with the epoch of who was told so, and was acknowledged once.
pub(super) fn exactly_once(case: &Case) -> Checked {
    let mut found = Vec::new();
    let mut stored = BTreeMap::new();
    for run in case.runs()? {
        for branch in &run.branches {
            let commits = run.commits_of(&branch.id);
            let numbers: Vec<u64> = commits.iter().map(|commit| commit.number).collect();
            let expected: Vec<u64> = (1..=branch.commit_no).collect();
            if numbers != expected {
                let says = format!(
                    "its commit points are {numbers:?}, and its last is {}",
                    branch.commit_no
                );
                found.push(Violation::new(says).run(&run.id).branch(&branch.id));
            }
            let epochs = commits
                .iter()
                .map(|c| ((c.branch.clone(), c.number), c.epoch));
            stored.extend(epochs);
        }
    }
    let mut told = BTreeMap::new();
    let acknowledged = case.committed().filter(|_| !case.rules.lost_tail);
    for (entry, held, _) in acknowledged {
        let point = (held.branch.clone(), held.commit_no);
        if entry.at <= case.evidence.read_at && stored.get(&point) != Some(&held.epoch) {
            let says = format!(
                "commit point {} was acknowledged to {}, and the database has it of epoch {:?}",
                held.commit_no,
                entry.engine,
                stored.get(&point)
            );
            found.push(about(held, says));
        }
        if let Some(other) = told.insert(point, &entry.engine) {
            let says = format!(
                "commit point {} was acknowledged to {other} and to {}",
                held.commit_no, entry.engine
            );
            found.push(about(held, says));
        }
    }
    Ok(found)
}

/// S7. A claim goes on from the highest commit point of the epochs before, the next commit follows
/// it, and no action begins again whose end a commit point has stored.
pub(super) fn back_to_the_break(case: &Case) -> Checked {
    case.nothing_undone()?;
    case.trail()?;
    let mut found = Vec::new();
    for entry in &case.evidence.trail {
        let What::Claimed { branch: held, .. } = &entry.what else {
            continue;
        };
        let Some(run) = case.evidence.record.run(&held.run) else {
            continue;
        };
        let commits = run.commits_of(&held.branch);
        let before = commits.iter().filter(|commit| commit.epoch < held.epoch);
        let last = before.map(|commit| commit.number).max().unwrap_or(0);
        if last != held.commit_no {
            let says = format!(
                "{} went on from commit point {}, and the last one was {last}",
                entry.engine, held.commit_no
            );
            found.push(about(held, says));
        }
        found.extend(super::actions::begun_again(case, run, held));
    }
    Ok(found)
}

/// S8. Nobody takes over a branch whose owner had let it wait, end or be ready; what waits has no
/// owner.
pub(super) fn waiting_is_left_alone(case: &Case) -> Checked {
    case.nothing_undone()?;
    let mut let_go = BTreeMap::new();
    for entry in &case.evidence.trail {
        let (held, state) = match &entry.what {
            What::Committed { branch, then } if then != "run" => (branch, then),
            What::Released { branch, to } if to != "refused" => (branch, to),
            _ => continue,
        };
        let_go.insert(
            (held.branch.as_str(), held.epoch),
            (state.as_str(), &entry.engine),
        );
    }
    let mut found = Vec::new();
    for run in case.runs()? {
        let owned = run
            .branches
            .iter()
            .filter(|branch| branch.owner.is_some() && branch.state != "running");
        for branch in owned {
            let says = format!("it is {}, and owned by {:?}", branch.state, branch.owner);
            found.push(Violation::new(says).run(&run.id).branch(&branch.id));
        }
        for takeover in run.takeovers.iter().filter(|takeover| !takeover.recovered) {
            let before = (takeover.branch.as_str(), takeover.epoch.saturating_sub(1));
            if let Some((state, owner)) = let_go.get(&before) {
                let says = format!(
                    "it was taken over, though its owner {owner} had let it go to `{state}`"
                );
                let violation = Violation::new(says).run(&run.id);
                found.push(violation.branch(&takeover.branch).epoch(takeover.epoch));
            }
        }
    }
    Ok(found)
}
