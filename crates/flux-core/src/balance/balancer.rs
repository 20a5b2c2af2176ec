//! One engine's part of the ready work.

use std::collections::BTreeMap;
use std::time::Duration;

use super::fill::{self, Candidate};
use super::{Load, Report};
use crate::clock::BootTime;
use crate::ids::Incarnation;

/// For how long work is left to others that do not take it, by the last in line; the first waits half
/// as long, so that they do not all take it at once.
pub const GRACE: Duration = Duration::from_millis(200);

/// What an engine may do about the ready branches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// Claim so many now; never more than there is room for.
    pub claim: u32,
    /// Some are left to other engines though there is room for them: look again after this time.
    pub look_again: Option<Duration>,
}

/// Decides for one engine how many of the ready branches it claims.
///
/// It claims its part of the plan at once, and leaves the rest to others. If some of that is still there
/// after half its grace, it takes a part as if all engines were alike (the reports may be old, and the
/// others do the same); after the grace, all that it has room for.
///
/// Between two reports of an engine it is supposed to have taken what was left and has gone. So engines
/// that look at the same queue go on to take turns.
#[derive(Clone, Debug)]
pub struct Balancer {
    me: Incarnation,
    staleness: Duration,
    peers: BTreeMap<Incarnation, Peer>,
    /// When this engine looked last, and how many ready branches it left then.
    looked: BootTime,
    left: u32,
    /// Since when branches are left though there is room.
    leaving: Option<Leaving>,
}

#[derive(Clone, Copy, Debug)]
struct Peer {
    report: Report,
    /// Branches that it is supposed to have claimed since.
    supposed: u32,
}

#[derive(Clone, Copy, Debug)]
struct Leaving {
    since: BootTime,
    /// At most so many of the branches that were there then are still there: the oldest go first.
    remaining: u32,
}

impl Balancer {
    /// A balancer for the engine `me` that has heard of nobody. Reports older than `staleness` do not
    /// count: about three intervals between reports.
    #[must_use]
    pub fn new(me: Incarnation, staleness: Duration) -> Self {
        Self {
            me,
            staleness,
            peers: BTreeMap::new(),
            looked: BootTime::default(),
            left: 0,
            leaving: None,
        }
    }

    /// Takes in a report of another engine with work of the same pool. Its earlier ones are forgotten.
    pub fn hear(&mut self, report: Report) {
        let known = self.peers.get(&report.from);
        if report.from == self.me || known.is_some_and(|peer| peer.report.at > report.at) {
            return;
        }
        let supposed = 0;
        self.peers.insert(report.from, Peer { report, supposed });
    }

    /// Forgets an engine that has left or is dead.
    pub fn forget(&mut self, who: Incarnation) {
        self.peers.remove(&who);
    }

    /// Whether anybody that counts could take work: if not, there is nothing to share.
    pub fn others_have_room(&mut self, now: BootTime) -> bool {
        self.forget_the_stale(now);
        self.peers.values().any(|peer| peer.load().free() > 0)
    }

    /// How many of `ready` branches to claim now with the own load `load`.
    pub fn share(&mut self, load: &Load, ready: u32, now: BootTime) -> Share {
        self.forget_the_stale(now);
        self.suppose(self.left.saturating_sub(ready));
        let room = load.free().min(ready);
        let mut share = Share {
            claim: room,
            look_again: None,
        };
        if room > 0 && !self.peers.is_empty() {
            share = self.part(load, ready, now);
        }
        self.looked = now;
        self.left = ready - share.claim;
        self.leaving = share
            .look_again
            .map(|_| self.leaving_after(share.claim, now));
        share
    }

    /// How many of `new` branches, of which nobody knows yet, to keep with the own load `load`. One that could as
    /// well go to another engine stays: there it would start later.
    pub fn part_of_new(&mut self, load: &Load, new: u32, now: BootTime) -> u32 {
        self.forget_the_stale(now);
        let mut engines = self.engines(Some(load));
        // The first wins the ties.
        engines.sort_by_key(|engine| engine.who != self.me);
        let is_mine = engines.first().is_some_and(|engine| engine.who == self.me);
        if is_mine {
            fill::fill(&engines, new)[0]
        } else {
            0
        }
    }

    fn forget_the_stale(&mut self, now: BootTime) {
        let staleness = self.staleness;
        self.peers
            .retain(|_, peer| now.since(peer.report.at) <= staleness);
    }

    /// The engines that count and have room, this one among them if `own` is given and has room.
    fn engines(&self, own: Option<&Load>) -> Vec<Candidate> {
        let peers = self.peers.iter().map(|(who, peer)| (*who, peer.load()));
        let own = own.map(|load| (self.me, *load));
        fill::candidates(peers.chain(own))
    }

    /// Of what was left, `gone` is no longer there: the others have taken it, as they should. Whoever
    /// reported in the meantime has said so itself.
    fn suppose(&mut self, gone: u32) {
        if gone == 0 {
            return;
        }
        let others = self.engines(None);
        for (other, taken) in others.iter().zip(fill::fill(&others, gone)) {
            let peer = self.peers.get_mut(&other.who);
            if let Some(peer) = peer.filter(|peer| peer.report.at <= self.looked) {
                peer.supposed += taken;
            }
        }
        if let Some(leaving) = &mut self.leaving {
            leaving.remaining = leaving.remaining.saturating_sub(gone);
        }
    }

    /// The part of this engine, which has room.
    fn part(&self, load: &Load, ready: u32, now: BootTime) -> Share {
        let engines = self.engines(Some(load));
        let shares = fill::fill(&engines, ready);
        let mine = engines.iter().position(|engine| engine.who == self.me);
        let planned = mine.map_or(0, |mine| shares[mine]);
        let grace = self.grace(&engines);
        let waited = self.leaving.map_or(Duration::ZERO, |l| now.since(l.since));
        let part = if waited >= grace {
            ready
        } else if waited >= grace / 2 {
            let alike = u32::try_from(engines.len()).unwrap_or(u32::MAX).max(1);
            planned.max(ready.div_ceil(alike))
        } else {
            planned
        };
        let room = load.free().min(ready);
        Share {
            claim: part.min(room),
            look_again: (part < room).then(|| pause(waited, grace)),
        }
    }

    /// How long this engine waits for others to take what is theirs: longer, the later its turn comes.
    fn grace(&self, engines: &[Candidate]) -> Duration {
        let first = GRACE.as_nanos() / 2;
        let rank = fill::rank(engines, self.me) as u128;
        let nanos = first + first * rank / (engines.len() as u128).max(1);
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)).min(GRACE)
    }

    /// What is to be remembered of leaving some to others after a claim of `claim`.
    fn leaving_after(&self, claim: u32, now: BootTime) -> Leaving {
        let anew = Leaving {
            since: now,
            remaining: self.left,
        };
        let before = self.leaving.map(|leaving| Leaving {
            remaining: leaving.remaining.saturating_sub(claim),
            ..leaving
        });
        before.filter(|l| l.remaining > 0).unwrap_or(anew)
    }
}

impl Peer {
    fn load(&self) -> Load {
        self.report.load.plus(self.supposed)
    }
}

/// When to look again at what is left: as soon as it may be taken, in part or altogether.
fn pause(waited: Duration, grace: Duration) -> Duration {
    match (grace / 2).checked_sub(waited) {
        Some(rest) if !rest.is_zero() => rest,
        _ => grace.saturating_sub(waited).min(GRACE / 8),
    }
}
