//! Judging the other engines by nothing but their silence.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Timing;
use crate::clock::BootTime;
use crate::ids::Incarnation;
use crate::ports::members::{Member, MemberState};

/// What an observation says about one member. Who beats as it should has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Silent for more than half of its window: worth mentioning, nothing more.
    Suspect {
        /// The silent member.
        who: Incarnation,
        /// For how long its heartbeat number has been seen unchanged.
        silent: Duration,
    },
    /// Silent for its whole window: to be declared dead, if its number is still `seen_seq`.
    Convict {
        /// The silent member.
        who: Incarnation,
        /// The heartbeat number that has not changed.
        seen_seq: u64,
        /// For how long it has been seen unchanged.
        silent: Duration,
    },
    /// Dead already, and still the owner of branches, which are to be freed.
    TakeOver {
        /// The dead member.
        who: Incarnation,
    },
}

/// Watches the heartbeat numbers of the others on this engine's own clock.
///
/// Silence counts only while it is watched: of the time between two readings at most two intervals
/// count, so that who reads late (it was frozen, its machine is busy, the store was slow) takes
/// longer to convict, never less. An observer that lost the store, or saw a number or its own clock
/// go back (a replica that had missed something was promoted), begins anew. So an outage, during
/// which nobody can beat, convicts nobody. A restarted engine is an observer that begins anew too,
/// and hence waits a full window before it judges its own predecessor.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Observer {
    me: Incarnation,
    /// What counts of the time between two readings.
    longest_gap: Duration,
    last_poll: Option<BootTime>,
    seen: BTreeMap<Incarnation, Sighting>,
}

/// A heartbeat number, and for how long it has been watched without a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Sighting {
    seq: u64,
    silent: Duration,
}

impl Observer {
    /// An observer that has seen nothing yet. `timing` is that of the engine `me`: it says how
    /// often this observer means to poll. The others are judged by their own windows.
    #[must_use]
    pub fn new(me: Incarnation, timing: Timing) -> Self {
        Self {
            me,
            longest_gap: timing.observe.saturating_mul(2),
            last_poll: None,
            seen: BTreeMap::new(),
        }
    }

    /// Forgets all it has seen: the store was lost, or is another one.
    pub fn reset(&mut self) {
        self.last_poll = None;
        self.seen.clear();
    }

    /// Takes in one reading of all members and judges them. `now` is the boot time *after* the
    /// reading was received: silence is then never overestimated, because a conviction applies
    /// only if the number is still the same when it is carried out.
    pub fn observe(&mut self, now: BootTime, members: &[Member]) -> Vec<Verdict> {
        if self.last_poll.is_some_and(|last| now < last) || self.went_back(members) {
            self.reset();
        }
        let last = self.last_poll.replace(now).unwrap_or(now);
        let watched = now.since(last).min(self.longest_gap);
        self.seen
            .retain(|who, _| members.iter().any(|member| member.incarnation == *who));
        let me = self.me;
        members
            .iter()
            .filter(|member| member.incarnation != me)
            .filter_map(|member| self.judge(watched, member))
            .collect()
    }

    fn went_back(&self, members: &[Member]) -> bool {
        members.iter().any(|member| {
            self.seen
                .get(&member.incarnation)
                .is_some_and(|sighting| member.heartbeat_seq < sighting.seq)
        })
    }

    fn judge(&mut self, watched: Duration, member: &Member) -> Option<Verdict> {
        let (who, seq) = (member.incarnation, member.heartbeat_seq);
        if member.state == MemberState::Dead {
            self.seen.remove(&who);
            return (member.running > 0).then_some(Verdict::TakeOver { who });
        }
        let silent = self.silence(watched, who, seq);
        // At least two readings, at different times, even if somebody stored a window of nothing.
        if silent >= member.window && silent > Duration::ZERO {
            Some(Verdict::Convict {
                who,
                seen_seq: seq,
                silent,
            })
        } else if silent > Timing::suspicion(member.window) {
            Some(Verdict::Suspect { who, silent })
        } else {
            None
        }
    }

    /// For how long the number has been watched, when it has been for `watched` since the last reading.
    fn silence(&mut self, watched: Duration, who: Incarnation, seq: u64) -> Duration {
        let silent = match self.seen.get(&who) {
            Some(sighting) if sighting.seq == seq => sighting.silent.saturating_add(watched),
            _ => Duration::ZERO,
        };
        self.seen.insert(who, Sighting { seq, silent });
        silent
    }
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
