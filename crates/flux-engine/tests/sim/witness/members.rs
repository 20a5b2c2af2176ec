//! Who is a member, for how long it may act, and who may be declared dead: S4, S11, S12, L1, L3.

use super::{ROUNDING, Witness};
use crate::host::Clocks;
use crate::world::Instant;
use flux_core::ids::Incarnation;
use flux_core::ownership::Timing;
use flux_core::ports::members::NewMember;
use std::sync::Arc;
use std::time::Duration;

/// What the witness knows of an incarnation.
pub struct Account {
    timing: Timing,
    clocks: Arc<Clocks>,
    /// Its process.
    pub process: u32,
    /// When the store last raised its number.
    pub applied: Instant,
    /// When the last heartbeat that it knows to have succeeded was sent.
    proved: Option<Instant>,
    /// When it was declared dead.
    pub dead: Option<Instant>,
    /// It has said that it has stopped everything.
    stopped: bool,
    gone: bool,
}

impl Account {
    /// When everything that it runs must be dead, at the latest.
    pub fn acts_until(&self) -> Instant {
        let proved = self.proved.unwrap_or(0);
        let right = self.clocks.true_time(self.timing.dead_line);
        proved + right.as_nanos() as u64 + ROUNDING
    }

    pub fn window(&self) -> Duration {
        self.timing.window
    }
}

impl Witness {
    pub fn joined(&mut self, new: &NewMember, process: u32, clocks: Arc<Clocks>) {
        self.names.name_incarnation(new.incarnation, &new.name);
        if let Some(account) = self.members.get_mut(&new.incarnation) {
            // A join that arrives after its engine has left makes a ghost, which is convicted.
            if std::mem::take(&mut account.gone) {
                account.applied = self.now;
                self.count("ghosts");
            }
            return;
        }
        self.count("joins");
        let account = Account {
            timing: Timing::of(new.window),
            clocks,
            process,
            applied: self.now,
            proved: None,
            dead: None,
            stopped: false,
            gone: false,
        };
        self.members.insert(new.incarnation, account);
    }

    /// How many the store says live, after a join.
    pub fn living(&mut self, count: usize, limit: u32) {
        self.must(count <= limit as usize, "S11", |_| {
            format!("{count} live where {limit} may")
        });
    }

    /// The store has raised its number.
    pub fn beat(&mut self, who: Incarnation) {
        self.must_live(who, "beats");
        let now = self.now;
        if let Some(account) = self.members.get_mut(&who) {
            account.applied = now;
        }
    }

    /// It was told that the heartbeat it sent at `sent` has succeeded.
    pub fn proved(&mut self, who: Incarnation, sent: Instant) {
        if let Some(account) = self.members.get_mut(&who) {
            account.proved = account.proved.max(Some(sent));
        }
    }

    pub fn convicted(&mut self, who: Incarnation, by: Incarnation) {
        self.count(match who == by {
            true => "steps down",
            false => "convictions",
        });
        self.must_live(who, "is declared dead");
        let Some(account) = self.members.get_mut(&who) else {
            return;
        };
        let silence = Duration::from_nanos(self.now - account.applied + ROUNDING);
        account.dead = Some(self.now);
        account.stopped |= who == by;
        let window = account.timing.window;
        if who != by {
            // One that only wants to join has no account, and may judge as well.
            let clocks = self.members.get(&by).map(|judge| Arc::clone(&judge.clocks));
            let needed = match clocks {
                Some(clocks) => clocks.true_time(window),
                None => window.mul_f64(0.98),
            };
            self.must(silence >= needed, "S4", |n| {
                format!(
                    "{} was declared dead by {} after {silence:?} of silence; its window is {window:?}",
                    n.incarnation(who), n.incarnation(by)
                )
            });
        }
        self.must_not_act(who);
    }

    pub fn left(&mut self, who: Incarnation) {
        if let Some(account) = self.members.get_mut(&who) {
            account.gone = true;
            account.stopped = true;
        }
        self.must_not_act(who);
    }

    /// It sends a commit. One that was sent before, and arrives later, does no harm.
    pub fn sends_commit(&mut self, who: Incarnation) {
        let account = self.members.get(&who);
        let stopped = account.is_some_and(|account| account.stopped);
        self.must(!stopped, "L3", |n| {
            format!(
                "{} commits after it said that it had stopped everything",
                n.incarnation(who)
            )
        });
    }

    fn must_not_act(&mut self, who: Incarnation) {
        let mut acting = self
            .running
            .iter()
            .filter(|(_, running)| running.who == who);
        let acting = acting.next().map(|(branch, _)| *branch);
        self.must(acting.is_none(), "L3", |n| {
            let branch = acting.map(|branch| n.branch(branch)).unwrap_or_default();
            format!(
                "{} is dead or gone, and still performs an action of {branch}",
                n.incarnation(who)
            )
        });
    }

    pub(super) fn must_live(&mut self, who: Incarnation, what: &str) {
        let account = self.members.get(&who);
        let lives = account.is_some_and(|account| account.dead.is_none() && !account.gone);
        self.must(lives, "S12", |n| {
            format!(
                "{} {what} after it was declared dead, or has left",
                n.incarnation(who)
            )
        });
    }

    pub(super) fn must_be_dead(&mut self, who: Incarnation) {
        let account = self.members.get(&who);
        let dead = account.is_some_and(|account| account.dead.is_some());
        self.must(dead, "S8", |n| {
            format!(
                "branches of {} were freed while it lived",
                n.incarnation(who)
            )
        });
    }

    /// Incarnations of a process that the cluster still believes in.
    pub fn believed(&self, process: u32) -> Vec<(Incarnation, Instant, Duration)> {
        let members = self.members.iter();
        members
            .filter(|(_, a)| a.process == process && a.dead.is_none() && !a.gone)
            .map(|(who, a)| (*who, a.applied, a.window()))
            .collect()
    }

    pub fn dead_since(&self, who: Incarnation) -> Option<Instant> {
        self.members.get(&who)?.dead
    }
}
