//! Why a branch stands where it stands, for people.

use crate::branch::BranchState;
use crate::clock::Timestamp;
use crate::labels::{is_private, serves};
use crate::ownership::Timing;
use crate::ports::members::{Member, MemberState};
use crate::ports::runs::{BranchRecord, Outcome, RunRecord};
use crate::ports::throttles::ThrottleRecord;
use serde_json::{Value, json};
use std::time::Duration;

/// What the reasons are looked for in.
#[derive(Clone, Copy, Debug)]
pub struct Scene<'s> {
    /// The run of the branches.
    pub run: &'s RunRecord,
    /// The cluster, read after the branches: whoever owns one of them was a member before.
    pub members: &'s [Member],
    /// The limits on what runs at the same time.
    pub throttles: &'s [ThrottleRecord],
    /// The calendar time.
    pub now: Timestamp,
}

/// Why, for people, and what programs may want to know of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Reason {
    /// A sentence.
    pub text: String,
    /// The engine that runs the branch, as an object.
    pub owner: Option<Value>,
}

impl Reason {
    /// A sentence without an owner.
    pub fn text(text: impl Into<String>) -> Reason {
        Reason {
            text: text.into(),
            owner: None,
        }
    }
}

/// How a member stands by the database's clock, for people; the engines themselves judge by what they
/// observe.
#[must_use]
pub fn standing(member: &Member) -> &'static str {
    match member.state {
        MemberState::Dead => "dead",
        _ if member.heartbeat_age > Timing::suspicion(member.window) => "suspect",
        MemberState::Draining => "draining",
        MemberState::Alive => "alive",
    }
}

/// How a run ended.
#[must_use]
pub fn ended(run: &RunRecord, outcome: &Outcome) -> String {
    match outcome {
        Outcome::Completed { .. } => "it has completed; `flux show` prints its output".to_owned(),
        Outcome::Faulted { fault } => format!("it faulted: {fault}; see `flux history {}`", run.id),
        Outcome::Cancelled => "it was cancelled".to_owned(),
    }
}

impl Scene<'_> {
    /// Why the branch stands where it stands.
    #[must_use]
    pub fn reason(&self, branch: &BranchRecord) -> Reason {
        match branch.state {
            BranchState::Running => self.running(branch),
            BranchState::Ready => Reason::text(self.ready(branch)),
            BranchState::Waiting => Reason::text(self.waiting(branch)),
            BranchState::Paused => Reason::text("paused"),
            BranchState::Failed => match &branch.fault {
                Some(fault) => Reason::text(format!("failed: {fault}")),
                None => Reason::text("failed"),
            },
            BranchState::Finished => Reason::text("finished"),
        }
    }

    fn running(&self, branch: &BranchRecord) -> Reason {
        let mut members = self.members.iter();
        let Some(owner) = members.find(|member| Some(member.incarnation) == branch.owner) else {
            return Reason::text("its engine has just gone, or has just given it back");
        };
        let takeover = self.latest_takeover(owner);
        let text = if owner.state == MemberState::Dead {
            let (name, commit_no) = (&owner.name, branch.commit_no);
            format!(
                "its engine {name} was declared dead; it is being freed at commit point {commit_no}"
            )
        } else {
            runs_on(owner, branch, takeover)
        };
        let value = json!({
            "engine": owner.name,
            "incarnation": owner.incarnation.to_string(),
            "state": standing(owner),
            "heartbeat_age_s": owner.heartbeat_age.as_secs_f64(),
            "window_s": owner.window.as_secs_f64(),
            "takeover_within_s": takeover.map(|time| time.as_secs_f64()),
        });
        Reason {
            text,
            owner: Some(value),
        }
    }

    /// How long it takes until the branches of `owner` are free at the latest, if it is silent
    /// from now on; `None` when nobody else lives who could see to it.
    fn latest_takeover(&self, owner: &Member) -> Option<Duration> {
        let others = self.members.iter().filter(|member| {
            member.incarnation != owner.incarnation && member.state != MemberState::Dead
        });
        let observe = others
            .map(|member| Timing::of(member.window).observe)
            .max()?;
        let latest = Timing::latest_takeover(owner.window, observe);
        Some(latest.saturating_sub(owner.heartbeat_age))
    }

    fn ready(&self, branch: &BranchRecord) -> String {
        if let Some(due) = branch.due_at.filter(|due| *due > self.now) {
            return format!("ready, but due at {due}");
        }
        let pool: Vec<&Member> = self
            .members
            .iter()
            .filter(|member| member.state != MemberState::Dead)
            .filter(|member| serves(member.pool.as_deref(), branch.pool.as_deref()))
            .collect();
        let mut text = match self.full_throttle(&pool) {
            Some(text) => text,
            None if pool.is_empty() => self.unserved(branch.pool.as_deref()),
            None => standstill(&pool),
        };
        if branch.lost > 0 {
            text += &format!(
                "; it has lost {} engines since commit point {}",
                branch.lost, branch.commit_no
            );
        }
        text
    }

    /// Why nobody works on what is in a pool.
    fn unserved(&self, pool: Option<&str>) -> String {
        let Some(required) = pool else {
            return "ready, but no engine is alive; `flux start` starts one".to_owned();
        };
        if is_private(pool) {
            return format!(
                "only the `flux run` that started it works on it, and that has ended; flux run \
                 --resume {}",
                self.run.id
            );
        }
        let alive = self
            .members
            .iter()
            .filter(|member| member.state != MemberState::Dead);
        let alive: Vec<&Member> = alive.collect();
        let each = |member: &&Member| {
            let labels = member.pool.as_deref().unwrap_or("none");
            format!("{} has {labels}", member.name)
        };
        let there = match alive.is_empty() {
            true => "no engine is alive".to_owned(),
            false => listed(&alive, each),
        };
        format!(
            "ready, but no engine has the labels {required} that it requires ({there}); `flux start \
             --labels {required}` starts one"
        )
    }

    /// The throttle that leaves no slot to any engine of the pool, and who has the slots.
    fn full_throttle(&self, pool: &[&Member]) -> Option<String> {
        let name = &self.run.name;
        let mut of_run = self.throttles.iter().filter(|record| {
            let scope = &record.throttle.scope;
            scope.holds(&name.namespace, &name.name)
        });
        of_run.find_map(|record| {
            let limits = record.throttle.limits;
            let held = |engine: &str| {
                let mut holders = record.holders.iter();
                holders
                    .find(|(name, _)| name == engine)
                    .map_or(0, |(_, count)| *count)
            };
            let in_cluster: u32 = record.holders.iter().map(|(_, count)| count).sum();
            let full = if let Some(limit) = limits.cluster.filter(|limit| in_cluster >= *limit) {
                format!("{in_cluster} of {limit} in the cluster are taken")
            } else {
                let limit = limits.engine?;
                let is_full = |member: &&Member| held(&member.name) >= limit;
                (!pool.is_empty() && pool.iter().all(is_full))
                    .then(|| format!("{limit} on each engine, and all are taken"))?
            };
            let who = |(engine, count): &(String, u32)| format!("{engine} has {count}");
            let holders: Vec<String> = record.holders.iter().map(who).collect();
            let scope = &record.throttle.scope;
            Some(format!(
                "ready, but the throttle of {scope} has no slot left: {full}{}; `flux throttle set \
                 {scope}` changes it",
                if holders.is_empty() {
                    String::new()
                } else {
                    format!(" ({})", holders.join(", "))
                }
            ))
        })
    }

    fn waiting(&self, branch: &BranchRecord) -> String {
        let mut waits = Vec::new();
        if branch.awaits_signals {
            waits.push(format!(
                "an event; `flux signal {} TYPE --data JSON` sends one",
                self.run.id
            ));
        }
        if branch.awaits_join {
            waits.push("its branches or its sub-workflow".to_owned());
        }
        if let Some(due) = branch.due_at {
            waits.push(format!("its time, {due}"));
        }
        let waits = match &waits[..] {
            [] => "nothing".to_owned(),
            waits => waits.join(", or "),
        };
        format!("waits for {waits}")
    }
}

fn runs_on(owner: &Member, branch: &BranchRecord, takeover: Option<Duration>) -> String {
    let (age, window) = (owner.heartbeat_age, owner.window);
    let drains = match owner.state {
        MemberState::Draining => ", which drains",
        _ => "",
    };
    let mut text = format!(
        "runs on engine {}{drains}; its last heartbeat is {:.1} s old",
        owner.name,
        age.as_secs_f64()
    );
    if age <= Timing::suspicion(window) {
        return text;
    }
    text += &format!(
        ", so it is suspect: its window is {} s",
        window.as_secs_f64()
    );
    let commit_no = branch.commit_no;
    text += &match takeover {
        None => "; no other engine lives that could take over, `flux start` starts one".to_owned(),
        Some(Duration::ZERO) => format!(
            "; takeover from commit point {commit_no} is overdue: are the other engines able to \
             reach the database?"
        ),
        Some(time) => format!(
            "; if it stays silent the branch is taken over from commit point {commit_no} within {:.0} s",
            time.as_secs_f64().ceil()
        ),
    };
    text
}

/// Why none of these engines takes a branch that is ready and due.
fn standstill(engines: &[&Member]) -> String {
    let able = |member: &&&Member| {
        member.state == MemberState::Alive
            && member.heartbeat_age <= Timing::suspicion(member.window)
    };
    let able: Vec<&Member> = engines.iter().filter(able).copied().collect();
    if able.is_empty() {
        let each = |member: &&Member| match member.state {
            MemberState::Draining => format!("{} drains", member.name),
            _ => format!(
                "{} has been silent for {:.1} s",
                member.name,
                member.heartbeat_age.as_secs_f64()
            ),
        };
        return format!(
            "ready, but no engine can take it: {}",
            listed(engines, each)
        );
    }
    let slots = |m: &&Member| format!("{} runs {} of {}", m.name, m.running, m.concurrency);
    let full = able.iter().all(|m| m.running >= u64::from(m.concurrency));
    let listed = listed(&able, slots);
    match full {
        true => format!("ready, but all slots are taken: {listed}"),
        false => format!("ready; an engine takes it at its next look for work: {listed}"),
    }
}

fn listed(members: &[&Member], each: impl Fn(&&Member) -> String) -> String {
    members.iter().map(each).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests;
