//! L1, L2, L5, L6, L7: what must happen, and how soon.

use super::members::convictions;
use super::{Case, Checked, about, secs};
use crate::history::lives::Life;
use crate::history::{Did, Held, Nanos, RunEntry, Violation, What};

/// L1. Who is killed or frozen for ever is declared dead by whoever could watch: a window and two
/// looks after its last heartbeat, or after the watcher began.
pub(super) fn found_in_time(case: &Case) -> Checked {
    case.trail()?;
    let mut found = Vec::new();
    let mut judged = 0;
    for dead in &case.lives {
        let frozen = dead.frozen.iter().find(|(_, to)| *to == Nanos::MAX);
        let Some(end) = dead.ended.or(frozen.map(|(from, _)| *from)) else {
            continue;
        };
        if dead.resigned.is_some() {
            continue;
        }
        let last = dead
            .last_beat(end)
            .map_or(dead.joined, |(_, answered)| answered);
        let convicted = convictions(case).find(|conviction| conviction.member == dead.engine);
        let convicted = convicted.map(|conviction| conviction.by.at);
        let told = case
            .evidence
            .record
            .failovers
            .iter()
            .any(|f| f.incarnation == dead.engine);
        for watcher in case.lives.iter().filter(|life| life.engine != dead.engine) {
            let Some((since, by)) = watch(case, watcher, dead, last.max(watcher.joined)) else {
                continue;
            };
            let in_time = convicted.map_or(told, |at| at <= by);
            judged += u32::from(in_time || watcher.was_well(since, by));
            if !in_time && watcher.was_well(since, by) {
                let when = convicted.map_or("never".to_owned(), |at| {
                    format!("{} later", secs(at - last))
                });
                found.push(Violation::new(format!(
                    "{} was silent and declared dead {when}, though {} watched it since {} after its \
                     last heartbeat",
                    dead.engine, watcher.engine, secs(since - last)
                )));
            }
        }
    }
    if judged == 0 {
        return Err("nobody died while somebody watched for long enough".to_owned());
    }
    Ok(found)
}

/// Since when the watcher could watch undisturbed (an error starts its observation anew), and by when
/// it must have convicted; `None` if that is beyond all time.
fn watch(case: &Case, watcher: &Life, dead: &Life, mut since: Nanos) -> Option<(Nanos, Nanos)> {
    let bound = dead.window.checked_add(2 * watcher.observes())?;
    let bound = bound.checked_add(case.slack())?;
    loop {
        let by = since.checked_add(bound)?;
        match watcher.disturbed_until(since, by) {
            Some(end) => since = end,
            None => return Some((since, by)),
        }
    }
}

/// L2. What was freed from a dead engine is claimed by whoever has a free slot.
pub(super) fn resumed_in_time(case: &Case) -> Checked {
    let freed = case.trail()?.iter().filter_map(|entry| match &entry.what {
        What::Freed { branch, .. } => Some((entry.at, branch)),
        _ => None,
    });
    let freed: Vec<_> = freed.collect();
    if freed.is_empty() {
        return Err("nothing was taken over".to_owned());
    }
    Ok(freed
        .into_iter()
        .filter_map(|(at, held)| unclaimed(case, at, held))
        .collect())
}

/// L5. What was submitted or given back is claimed by whoever has a free slot.
pub(super) fn fair(case: &Case) -> Checked {
    if case.rules.wrong_clocks {
        return Err("calendar clocks were wrong, and by them work becomes due".to_owned());
    }
    let mut found = Vec::new();
    for entry in case.trail()? {
        if let What::Released { branch, to } = &entry.what
            && to == "ready"
        {
            found.extend(unclaimed(case, entry.at, branch));
        }
    }
    for deed in &case.evidence.deeds {
        if let Did::Submitted(run) = &deed.did {
            let held = Held {
                run: run.clone(),
                ..Held::default()
            };
            found.extend(unclaimed(case, deed.at, &held));
        }
    }
    Ok(found)
}

/// A branch (or, where none is named, the first of a run) that became ready at `at`, and was not
/// claimed in time though somebody had a free slot all the time.
fn unclaimed(case: &Case, at: Nanos, held: &Held) -> Option<Violation> {
    let told = case.told_of(&held.run).iter();
    let claims = told.filter_map(|entry| match &entry.what {
        What::Claimed { branch, lost, .. } => Some((entry.at, branch, *lost)),
        _ => None,
    });
    let of_it = |branch: &Held| match held.branch.as_str() {
        "" => branch.run == held.run,
        id => branch.branch == id && (branch.epoch > held.epoch || held.epoch == 0),
    };
    // A claim may be told before what made the branch ready is, by another process.
    let after = |claimed: Nanos| held.branch.is_empty() || held.epoch > 0 || claimed >= at;
    let claim = claims
        .filter(|(claimed, branch, _)| of_it(branch) && after(*claimed))
        .min_by_key(|c| c.0);
    let bound = at + 3 * case.rules.poll.as_nanos() as Nanos + case.slack();
    // On its last chances a branch waits until it can be alone in an engine.
    if claim.is_some_and(|(claimed, _, lost)| claimed <= bound || lost >= 2)
        || never_claimed(case, held)
    {
        return None;
    }
    let free = case
        .lives
        .iter()
        .find(|life| life.was_well(at, bound) && had_a_slot(case, life, at, bound))?;
    Some(about(
        held,
        format!(
            "it was ready and not claimed within {}, though {} had a free slot",
            secs(bound - at),
            free.engine
        ),
    ))
}

/// Poisoned, cancelled or lost by the database before anybody could claim it.
fn never_claimed(case: &Case, held: &Held) -> bool {
    match case.evidence.record.run(&held.run) {
        Some(run) => run.is_over() && run.state != "completed",
        None => case.rules.lost_tail,
    }
}

fn had_a_slot(case: &Case, life: &Life, from: Nanos, to: Nanos) -> bool {
    let mut held: u64 = 0;
    let mut most = 0;
    for entry in case
        .evidence
        .trail
        .iter()
        .filter(|entry| entry.engine == life.engine)
    {
        if entry.at > to {
            break;
        }
        match &entry.what {
            What::Claimed { .. } => held += 1,
            What::Committed { then, .. } if then != "run" => held = held.saturating_sub(1),
            What::Released { .. } | What::Fenced { .. } => held = held.saturating_sub(1),
            _ => {}
        }
        most = if entry.at < from {
            held
        } else {
            most.max(held)
        };
    }
    most < life.concurrency
}

/// L6. An engine that was asked to stop, and did, leaves nothing to take over.
pub(super) fn drained(case: &Case) -> Checked {
    let deeds = &case.evidence.deeds;
    let hurt = |process: usize| {
        deeds
            .iter()
            .any(|deed| deed.did == Did::Killed(process) || deed.did == Did::Froze(process))
    };
    let asked = case.lives.iter().filter(|life| {
        let mut deeds = deeds.iter();
        let asked = deeds.find(|deed| deed.did == Did::Terminated(life.process));
        asked.zip(life.ended).is_some_and(|(asked, ended)| {
            let reached = life.disturbed_until(asked.at, ended).is_none();
            reached && life.left.is_some() && !hurt(life.process)
        })
    });
    let asked: Vec<&Life> = asked.collect();
    if asked.is_empty() {
        return Err("no engine was asked to stop".to_owned());
    }
    let mut found = Vec::new();
    for life in asked {
        let dead = case
            .evidence
            .record
            .failovers
            .iter()
            .find(|f| f.incarnation == life.engine);
        if let Some(failover) = dead.filter(|failover| failover.by != life.engine) {
            found.push(Violation::new(format!(
                "{} was asked to stop, and {} had to take over from it",
                life.engine, failover.by
            )));
        }
    }
    Ok(found)
}

/// L7. A branch is taken over at most as often as the limit says without a new commit point, and
/// fails at the last.
pub(super) fn poison_bounded(case: &Case) -> Checked {
    let limits = case.lives.iter().map(|life| life.poison_limit);
    let limit = limits.max().ok_or("no engine left a trail")?;
    let all = case.runs()?.iter();
    if all.clone().all(|run| run.takeovers.is_empty()) {
        return Err("nothing was taken over".to_owned());
    }
    Ok(all.flat_map(|run| excessive(run, limit)).collect())
}

fn excessive(run: &RunEntry, limit: u64) -> Vec<Violation> {
    let mut found = Vec::new();
    for branch in &run.branches {
        let mut row: Vec<(u64, u64)> = Vec::new();
        for takeover in run
            .takeovers
            .iter()
            .filter(|takeover| takeover.branch == branch.id)
        {
            if takeover.recovered {
                row.clear();
                continue;
            }
            row.retain(|(commit_no, _)| *commit_no == takeover.commit_no);
            row.push((takeover.commit_no, takeover.epoch));
            let count = row.len() as u64;
            if count > limit || (takeover.lost >= limit && !takeover.poisoned) {
                let says = format!(
                    "it lost its engine {count} times at commit point {}; the limit is {limit}",
                    takeover.commit_no
                );
                found.push(
                    Violation::new(says)
                        .run(&run.id)
                        .branch(&branch.id)
                        .epoch(takeover.epoch),
                );
            }
        }
    }
    found
}
