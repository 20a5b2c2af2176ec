//! What is new between two looks at a cluster.

use super::warning::warnings;
use flux_core::explain::standing;
use flux_core::ports::members::Member;
use flux_core::ports::runs::FailoverRecord;
use serde_json::{Value, json};

/// What one look at the cluster shows.
#[derive(Clone, Debug, Default)]
pub struct Look {
    pub members: Vec<Member>,
    /// The newest, newest first.
    pub failovers: Vec<FailoverRecord>,
}

/// Something new.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// One of `present joined left alive suspect draining dead failover running warning over`,
    /// or `away` and `back` for the database.
    pub kind: &'static str,
    /// A sentence.
    pub text: String,
    /// More for programs: an object.
    pub data: Value,
}

impl Change {
    pub fn new(kind: &'static str, text: impl Into<String>, data: Value) -> Change {
        Change {
            kind,
            text: text.into(),
            data,
        }
    }

    fn of(kind: &'static str, member: &Member, text: &str) -> Change {
        let data = json!({
            "engine": member.name,
            "incarnation": member.incarnation.to_string(),
            "running": member.running,
            "concurrency": member.concurrency,
        });
        Change::new(kind, format!("engine {} {text}", member.name), data)
    }
}

/// Everything that the first look shows.
pub fn present(look: &Look) -> Vec<Change> {
    let present = |member: &Member| {
        let text = format!("is {}, {}", standing(member), runs(member));
        Change::of("present", member, &text)
    };
    let mut changes: Vec<Change> = look.members.iter().map(present).collect();
    changes.extend(warned(&Look::default(), look));
    changes
}

/// What `after` shows and `before` did not.
pub fn changes(before: &Look, after: &Look) -> Vec<Change> {
    let mut changes = Vec::new();
    for member in &after.members {
        match find(before, member) {
            None => changes.push(Change::of("joined", member, "has joined")),
            Some(known) => changes.extend(stands(known, member)),
        }
    }
    changes.extend(failed_over(before, after));
    changes.extend(left(before, after));
    for member in &after.members {
        let known = find(before, member).map_or(0, |known| known.running);
        if member.running != known && standing(member) != "dead" {
            changes.push(Change::of("running", member, &runs(member)));
        }
    }
    changes.extend(warned(before, after));
    changes
}

fn find<'l>(look: &'l Look, member: &Member) -> Option<&'l Member> {
    let mut members = look.members.iter();
    members.find(|known| known.incarnation == member.incarnation)
}

fn runs(member: &Member) -> String {
    let (running, most) = (member.running, member.concurrency);
    format!("runs {running} of {most} branches")
}

/// That it is dead is told by its failover.
fn stands(before: &Member, after: &Member) -> Option<Change> {
    let (was, is) = (standing(before), standing(after));
    let text = match is {
        _ if was == is => return None,
        "suspect" => format!(
            "is suspect: no heartbeat for {:.1} s of its window of {} s",
            after.heartbeat_age.as_secs_f64(),
            after.window.as_secs_f64()
        ),
        "draining" => "is draining: it claims nothing any more".to_owned(),
        "alive" => "is alive again".to_owned(),
        _ => return None,
    };
    let mut change = Change::of(is, after, &text);
    if is == "suspect" {
        change.data["heartbeat_age_s"] = json!(after.heartbeat_age.as_secs_f64());
        change.data["window_s"] = json!(after.window.as_secs_f64());
    }
    Some(change)
}

fn failed_over(before: &Look, after: &Look) -> Vec<Change> {
    let mut changes = Vec::new();
    for failover in after.failovers.iter().rev() {
        let mut known = before.failovers.iter();
        let known = known.find(|known| known.from == failover.from);
        if known.is_none() {
            changes.push(dead(failover));
        }
        let new = failover.branches - known.map_or(0, |k| k.branches).min(failover.branches);
        if new > 0 {
            changes.push(freed(failover, new));
        }
    }
    changes
}

fn dead(failover: &FailoverRecord) -> Change {
    let (name, evidence) = (&failover.from_name, &failover.evidence);
    let by = match &failover.by_name {
        _ if failover.by == failover.from => "by itself".to_owned(),
        name if name.is_empty() => "by an engine that wanted to join".to_owned(),
        name => format!("by {name}"),
    };
    let data = json!({
        "engine": name,
        "incarnation": failover.from.to_string(),
        "by": failover.by.to_string(),
        "by_engine": failover.by_name,
        "evidence": evidence,
    });
    Change::new(
        "dead",
        format!("engine {name} was declared dead {by}: {evidence}"),
        data,
    )
}

fn freed(failover: &FailoverRecord, new: u64) -> Change {
    let (name, all) = (&failover.from_name, failover.branches);
    let text = format!(
        "failover: {new} branches of engine {name} are free at their commit points, {all} in all"
    );
    let data = json!({
        "engine": name,
        "incarnation": failover.from.to_string(),
        "branches": new,
        "branches_in_all": all,
    });
    Change::new("failover", text, data)
}

/// Who has gone, and was not declared dead.
fn left(before: &Look, after: &Look) -> Vec<Change> {
    let gone = before.members.iter().filter(|member| {
        let mut failovers = after.failovers.iter();
        find(after, member).is_none() && failovers.all(|f| f.from != member.incarnation)
    });
    let left = gone.map(|member| Change::of("left", member, "has left"));
    left.collect()
}

fn warned(before: &Look, after: &Look) -> Vec<Change> {
    let (before, after) = (warnings(&before.members), warnings(&after.members));
    let known = |kind| before.iter().any(|warning| warning.kind == kind);
    let still = |kind| after.iter().any(|warning| warning.kind == kind);
    let new = after.iter().filter(|warning| !known(warning.kind));
    let new = new.map(|warning| {
        Change::new(
            "warning",
            format!("warning: {}", warning.message),
            warning.json(),
        )
    });
    let over = before.iter().filter(|warning| !still(warning.kind));
    let over = over.map(|warning| {
        let text = match warning.kind {
            "windows" => "all engines have the same failover time window again",
            _ => "all clocks agree with the database's again",
        };
        Change::new("over", text, json!({"kind": warning.kind}))
    });
    new.chain(over).collect()
}

#[cfg(test)]
mod tests;
