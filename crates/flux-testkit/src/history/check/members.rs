//! S4, S11, S12: who is a member, and who is declared dead.

use super::{Case, Checked, secs};
use crate::history::{Entry, Nanos, Violation, What};

/// A conviction of another incarnation.
pub(super) struct Conviction<'e> {
    pub by: &'e Entry,
    pub member: &'e str,
    pub silent: Nanos,
    pub judged: Nanos,
}

pub(super) fn convictions<'e>(case: &Case<'e>) -> impl Iterator<Item = Conviction<'e>> {
    case.evidence.trail.iter().filter_map(|by| match &by.what {
        What::Convicted {
            member,
            silent,
            judged,
        } if *member != by.engine => Some(Conviction {
            by,
            member,
            silent: *silent,
            judged: *judged,
        }),
        _ => None,
    })
}

/// S4. Only silence of the whole window of the silent one, since its last heartbeat was stored,
/// convicts. A heartbeat is stored after it was sent, a conviction before its answer: what is
/// shorter between these two was too early for certain.
pub(super) fn none_premature(case: &Case) -> Checked {
    case.trail()?;
    if convictions(case).next().is_none() && case.evidence.record.failovers.is_empty() {
        return Err("nobody was declared dead".to_owned());
    }
    let mut found = Vec::new();
    for conviction in convictions(case) {
        let Some(life) = case.life(conviction.member) else {
            continue;
        };
        let (by, at) = (&conviction.by.engine, conviction.by.at);
        if conviction.silent < life.window {
            found.push(Violation::new(format!(
                "{by} declared {} dead after {} of silence; its window is {}",
                life.engine,
                secs(conviction.silent),
                secs(life.window)
            )));
        } else if let Some((sent, _)) = life.last_beat(at)
            && at.saturating_sub(sent) < life.window
        {
            found.push(Violation::new(format!(
                "{by} declared {} dead {} after its last heartbeat; its window is {}",
                life.engine,
                secs(at.saturating_sub(sent)),
                secs(life.window)
            )));
        }
    }
    // Who finds every place taken convicts before it joins.
    let known = |incarnation: &str| {
        let mut trail = case.evidence.trail.iter();
        trail.any(|entry| entry.engine == incarnation)
    };
    for failover in &case.evidence.record.failovers {
        if known(&failover.incarnation) && !known(&failover.by) {
            found.push(Violation::new(format!(
                "{} was declared dead by {}, which had never joined",
                failover.incarnation, failover.by
            )));
        }
    }
    Ok(found)
}

/// S11. Nobody joins beside as many members as it allows.
pub(super) fn not_too_many(case: &Case) -> Checked {
    case.trail()?;
    let mut found = Vec::new();
    for life in &case.lives {
        let members = case.lives.iter().filter(|other| {
            other.joined <= life.joined && life.joined < certain_until(case, &other.engine)
        });
        let count = members.count() as u64;
        if count > life.max_cluster_size {
            found.push(Violation::new(format!(
                "{} joined as member {count}, and allows {}",
                life.engine, life.max_cluster_size
            )));
        }
    }
    Ok(found)
}

/// Until when an incarnation was a member for certain: until somebody went to change that.
fn certain_until(case: &Case, engine: &str) -> Nanos {
    let left = case.life(engine).and_then(|life| life.left);
    let convicted = convictions(case).filter(|conviction| conviction.member == engine);
    let ends = convicted.map(|conviction| conviction.judged).chain(left);
    // A conviction whose author died before it could tell is known to the record alone.
    let failed = case
        .evidence
        .record
        .failovers
        .iter()
        .any(|f| f.incarnation == engine);
    ends.min().unwrap_or(if failed { 0 } else { Nanos::MAX })
}

/// S12. What a dead incarnation asks for after its conviction is refused.
pub(super) fn dead_stays_dead(case: &Case) -> Checked {
    case.nothing_undone()?;
    let trail = case.trail()?;
    if convictions(case).next().is_none() {
        return Err("nobody was declared dead".to_owned());
    }
    let mut found = Vec::new();
    for conviction in convictions(case) {
        let own = trail
            .iter()
            .filter(|entry| entry.engine == conviction.member);
        for entry in own {
            let (sent, what) = match &entry.what {
                What::Heartbeat { sent } => (*sent, "a heartbeat".to_owned()),
                What::Claimed { asked, branch, .. } => {
                    (*asked, format!("the claim of branch {}", branch.branch))
                }
                _ => continue,
            };
            if sent > conviction.by.at {
                found.push(Violation::new(format!(
                    "{what} of {} succeeded, sent {} after {} had declared it dead",
                    entry.engine,
                    secs(sent - conviction.by.at),
                    conviction.by.engine
                )));
            }
        }
    }
    Ok(found)
}
