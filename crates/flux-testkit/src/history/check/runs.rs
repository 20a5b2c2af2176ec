//! S3, S9, S10, L4: runs from their submission to their end.

use super::{Case, Checked, about, secs};
use crate::history::{Did, Held, Nanos, RunEntry, Violation, What};
use std::collections::BTreeMap;

fn submitted<'e>(case: &Case<'e>) -> Result<Vec<(Nanos, &'e str)>, String> {
    let all = case
        .evidence
        .deeds
        .iter()
        .filter_map(|deed| match &deed.did {
            Did::Submitted(run) => Some((deed.at, run.as_str())),
            _ => None,
        });
    let all: Vec<_> = all.collect();
    if all.is_empty() {
        return Err("the test submitted nothing".to_owned());
    }
    Ok(all)
}

/// S3. What was acknowledged is there: over, or with a branch that somebody will go on with.
pub(super) fn none_lost(case: &Case) -> Checked {
    let mut found = Vec::new();
    for (_, id) in submitted(case)? {
        let Some(run) = case.evidence.record.run(id) else {
            if !case.rules.lost_tail {
                found.push(Violation::new("it was acknowledged, and is not there").run(id));
            }
            continue;
        };
        let open = ["ready", "running", "waiting", "paused"];
        let goes_on = run
            .branches
            .iter()
            .any(|branch| open.contains(&branch.state.as_str()));
        if !run.is_over() && !goes_on {
            let says = format!("it is {}, and none of its branches goes on", run.state);
            found.push(Violation::new(says).run(id));
        }
        found.extend(ownerless(case, run));
    }
    Ok(found)
}

/// Branches whose owner is no member any more: nobody would ever take them over.
fn ownerless(case: &Case, run: &RunEntry) -> Vec<Violation> {
    let record = &case.evidence.record;
    let owned = run
        .branches
        .iter()
        .filter_map(|b| Some((b, b.owner.as_ref()?)));
    let lost = owned.filter(|(_, owner)| {
        !record.members.contains(owner) && case.life(owner).is_none_or(|life| life.left.is_some())
    });
    lost.map(|(branch, owner)| {
        let says = format!("its owner {owner} is no member, and nobody will take it over");
        Violation::new(says)
            .run(&run.id)
            .branch(&branch.id)
            .epoch(branch.epoch)
    })
    .collect()
}

/// S9. A branch ends, and so arrives at its join, once; what a branch does after a wait (at a join
/// or a trigger) it does once.
pub(super) fn goes_on_once(case: &Case) -> Checked {
    case.nothing_undone()?;
    case.trail()?;
    let mut found = Vec::new();
    let mut ends: BTreeMap<&str, &Held> = BTreeMap::new();
    let mut waits: BTreeMap<(&str, u64), u32> = BTreeMap::new();
    for (_, held, then) in case.committed() {
        if then == "end"
            && let Some(first) = ends.insert(&held.branch, held)
            && !case.was_sent_back(&held.branch)
        {
            let says = format!(
                "it arrived at its join twice: with commit points {} and {}",
                first.commit_no, held.commit_no
            );
            found.push(about(held, says));
        }
        if then == "wait" {
            waits.insert((&held.branch, held.commit_no + 1), 0);
        }
        if let Some(count) = waits.get_mut(&(held.branch.as_str(), held.commit_no)) {
            *count += 1;
            if *count == 2 {
                let says = format!(
                    "it went on twice after it had waited at commit point {}",
                    held.commit_no - 1
                );
                found.push(about(held, says));
            }
        }
    }
    Ok(found)
}

/// S10. Nothing is committed, claimed or begun for a branch that has ended, unless an operator sent
/// it back; a run that is over has no branch that goes on.
pub(super) fn end_is_final(case: &Case) -> Checked {
    let mut found = Vec::new();
    for run in case.runs()?.iter().filter(|run| run.is_over()) {
        let ended = ["finished", "failed"];
        let open = run
            .branches
            .iter()
            .filter(|b| !ended.contains(&b.state.as_str()));
        for branch in open {
            let says = format!("it is {}, and its run is {}", branch.state, run.state);
            found.push(Violation::new(says).run(&run.id).branch(&branch.id));
        }
    }
    let ends = case.committed().filter(|(_, held, then)| {
        *then == "end" && !case.rules.lost_tail && !case.was_sent_back(&held.branch)
    });
    for (end, held, _) in ends {
        for entry in case.told_of(&held.run) {
            let later = match &entry.what {
                What::Claimed { branch, .. } if branch.epoch > held.epoch => branch,
                What::Committed { branch, .. } if branch.commit_no > held.commit_no => branch,
                _ => continue,
            };
            if later.branch == held.branch {
                let says = format!("{} went on with it after it had ended", entry.engine);
                found.push(about(later, says));
            }
        }
        let marks = case.marks_of(&held.branch).iter();
        for mark in marks.filter(|mark| mark.begins() && mark.at > end.at) {
            let says = format!(
                "action {} began {} after its end",
                mark.key,
                secs(mark.at - end.at)
            );
            found.push(about(held, says));
        }
    }
    Ok(found)
}

/// The last thing that was done to an engine, or to the database; clients come and go all the time.
fn healed(case: &Case) -> Nanos {
    let engine = |process: usize| case.lives.iter().any(|life| life.process == process);
    let faults = case.evidence.deeds.iter().filter(|deed| match deed.did {
        Did::Started(process)
        | Did::Killed(process)
        | Did::Terminated(process)
        | Did::Froze(process)
        | Did::Thawed(process) => engine(process),
        Did::Disturbed(..) => true,
        Did::Submitted(_) | Did::Stalled(_) | Did::Ended(_) => false,
    });
    faults.map(|deed| deed.at).max().unwrap_or(0)
}

fn is_end(what: &What) -> bool {
    matches!(what, What::Committed { then, .. } if then == "end")
}

/// L4. Every run has ended, but those that the test left unfinished on purpose; and none took too
/// long after the last fault.
pub(super) fn all_end(case: &Case) -> Checked {
    let mut found = Vec::new();
    let healed = healed(case);
    let within = case.rules.finish_within.as_nanos() as Nanos;
    for (at, id) in submitted(case)? {
        let Some(run) = case.evidence.record.run(id) else {
            continue;
        };
        if !run.is_over() && !case.rules.unfinished.iter().any(|run| run == id) {
            found.push(Violation::new(format!("it is still {}", run.state)).run(id));
        }
        let ends = case.told_of(id).iter().filter(|entry| is_end(&entry.what));
        let took = ends.map(|end| end.at.saturating_sub(healed.max(at))).max();
        if let Some(took) = took.filter(|took| *took > within) {
            let says = format!("it ended {} after the last fault", secs(took));
            found.push(Violation::new(says).run(id));
        }
    }
    Ok(found)
}
