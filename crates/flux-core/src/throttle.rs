//! Throttles: how many branches of a workflow, or of all workflows of a namespace, may run at the same
//! time, on one engine and in the whole cluster.
//!
//! A branch that is ready while its throttle is full stands in a **lane**, the queue of its workflow, so
//! that it is in nobody's way. A slot is a running branch and nothing else: it comes back when the
//! branch ends, waits or loses its engine, and no holder can take it to its grave.

use crate::clock::Timestamp;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

#[cfg(test)]
mod tests;

/// One priority is worth so much waiting: a branch of priority 5 goes before one of priority 6 that was
/// due up to a minute earlier, and after one that was due before that. So whatever waits gets its turn.
pub const AGEING: Duration = Duration::from_secs(60);

/// The numbers that a priority may be.
pub const PRIORITIES: RangeInclusive<i64> = -1_000_000..=1_000_000;

/// What ready branches are sorted by, the smallest first: the due time, later by [`AGEING`] for each
/// number of priority. In microseconds.
#[must_use]
pub fn urgency(priority: i32, due_at: Timestamp) -> i64 {
    let later = i64::from(priority).saturating_mul(AGEING.as_micros() as i64);
    due_at.as_micros().saturating_add(later)
}

/// What a throttle holds back: a namespace, or one workflow in it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Scope {
    /// The namespace.
    pub namespace: String,
    /// The workflow; `None` is everything in the namespace, together.
    pub name: Option<String>,
}

impl Scope {
    /// The scope of one workflow.
    #[must_use]
    pub fn workflow(namespace: &str, name: &str) -> Scope {
        Scope {
            namespace: namespace.to_owned(),
            name: Some(name.to_owned()),
        }
    }

    /// Whether runs of this workflow are in it.
    #[must_use]
    pub fn holds(&self, namespace: &str, name: &str) -> bool {
        self.namespace == namespace && self.name.as_ref().is_none_or(|own| own == name)
    }

    /// Whether a lane ([`lane`]) belongs to it.
    #[must_use]
    pub fn holds_lane(&self, lane: &str) -> bool {
        lane.split_once('/')
            .is_some_and(|(namespace, name)| self.holds(namespace, name))
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => write!(f, "{}/{name}", self.namespace),
            None => f.write_str(&self.namespace),
        }
    }
}

impl FromStr for Scope {
    type Err = String;

    fn from_str(text: &str) -> Result<Scope, String> {
        let (namespace, name) = match text.split_once('/') {
            Some((namespace, name)) => (namespace, Some(name)),
            None => (text, None),
        };
        let is_name = |part: &str| {
            !part.is_empty()
                && part.len() <= 63
                && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
        };
        if !is_name(namespace) || name.is_some_and(|name| !is_name(name)) {
            return Err(format!(
                "`{text}` is neither a namespace nor NAMESPACE/WORKFLOW (such as `finance` or \
                 `finance/nightly-close`)"
            ));
        }
        Ok(Scope {
            namespace: namespace.to_owned(),
            name: name.map(str::to_owned),
        })
    }
}

/// How many branches may run at the same time; `None` is any number, zero holds everything back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// In the whole cluster.
    pub cluster: Option<u32>,
    /// On each engine.
    pub engine: Option<u32>,
}

impl Limits {
    /// Whether they hold nothing back.
    #[must_use]
    pub fn is_none(&self) -> bool {
        self.cluster.is_none() && self.engine.is_none()
    }
}

/// Limits for what is in a scope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Throttle {
    /// What it holds back.
    pub scope: Scope,
    /// How many at a time.
    pub limits: Limits,
}

/// The lane of a workflow's branches.
#[must_use]
pub fn lane(namespace: &str, name: &str) -> String {
    format!("{namespace}/{name}")
}

/// Ready branches that wait for the same slots.
#[derive(Clone, Debug)]
pub struct Queue {
    /// Their lane; `None` for those that no throttle holds.
    pub lane: Option<String>,
    /// The [`urgency`] of the first of them, the smallest first.
    pub urgencies: Vec<i64>,
}

/// What is free of the throttles, for one engine that claims.
#[derive(Clone, Debug)]
pub struct Slots {
    throttles: Vec<Used>,
}

#[derive(Clone, Debug)]
struct Used {
    throttle: Throttle,
    cluster: u32,
    engine: u32,
}

impl Slots {
    /// All slots of these throttles, none of them taken.
    #[must_use]
    pub fn new(throttles: Vec<Throttle>) -> Slots {
        let unused = |throttle| Used {
            throttle,
            cluster: 0,
            engine: 0,
        };
        Slots {
            throttles: throttles.into_iter().map(unused).collect(),
        }
    }

    /// So many branches of a lane run, on this engine (`mine`) or on another.
    pub fn occupy(&mut self, lane: &str, mine: bool, count: u32) {
        let held = self.throttles.iter_mut();
        for used in held.filter(|used| used.throttle.scope.holds_lane(lane)) {
            used.cluster = used.cluster.saturating_add(count);
            if mine {
                used.engine = used.engine.saturating_add(count);
            }
        }
    }

    /// How many more branches of a lane this engine may take.
    #[must_use]
    pub fn free(&self, lane: &str) -> u32 {
        let held = self.throttles.iter();
        held.filter(|used| used.throttle.scope.holds_lane(lane))
            .map(Used::free)
            .min()
            .unwrap_or(u32::MAX)
    }

    /// How many branches of each queue to take, `limit` in all: the most urgent ones that have a slot.
    #[must_use]
    pub fn shares(mut self, limit: u32, queues: &[Queue]) -> Vec<u32> {
        let mut shares = vec![0_u32; queues.len()];
        for _ in 0..limit {
            let next = |(index, queue): (usize, &Queue)| {
                let head = queue.urgencies.get(shares[index] as usize)?;
                let lane = queue.lane.as_deref();
                lane.is_none_or(|lane| self.free(lane) > 0)
                    .then_some((*head, index))
            };
            let Some((_, index)) = queues.iter().enumerate().filter_map(next).min() else {
                break;
            };
            shares[index] += 1;
            if let Some(lane) = &queues[index].lane {
                self.occupy(lane, true, 1);
            }
        }
        shares
    }
}

impl Used {
    fn free(&self) -> u32 {
        let left = |limit: Option<u32>, used: u32| {
            limit.map_or(u32::MAX, |limit| limit.saturating_sub(used))
        };
        let limits = &self.throttle.limits;
        left(limits.cluster, self.cluster).min(left(limits.engine, self.engine))
    }
}
