//! The protocol with or without one of its guards, and the world it has to live in.

use std::time::Duration;

use flux_core::clock::BootTime;
use flux_core::ownership::Timing;

/// One tick of the model.
pub const TICK: Duration = Duration::from_secs(1);
/// The failover time window in ticks: a heartbeat every tick.
pub const WINDOW: u8 = 3;
/// How many commits the run has; the last one ends it.
pub const STEPS: u8 = 2;
/// How often an engine may start: once, and once more after a crash or a step down.
pub const LIVES: u8 = 2;

/// What keeps the protocol safe. A variant removes one of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guard {
    /// A commit is compared with the row at all.
    Fence,
    /// A commit's owner and epoch must be those of the row.
    OwnerAndEpoch,
    /// A commit's owner must be that of the row (its epoch is compared in any case).
    Owner,
    /// A commit's number must be that of the row.
    CommitNumber,
    /// A conviction applies only if the heartbeat number is still the one that was seen.
    ConvictionCompares,
    /// The trust of an engine ends before others may convict it.
    Deadline,
    /// Trust counts from when a heartbeat was sent, not from when its answer came.
    TrustFromSending,
    /// Observers begin anew when another database takes over.
    ObserversReset,
    /// Owners look at what they own when another database takes over.
    OwnersRevalidate,
    /// A claim is refused to whoever is not alive.
    ClaimerIsAlive,
    /// An engine gives back what it owns and does not run.
    StraysGivenBack,
    /// Silence is watched, instead of computed from the stamps of others' clocks.
    WatchedSilence,
    /// The heartbeat number never comes back to a former value.
    WideCounter,
}

/// What may happen, and how often.
#[derive(Clone, Copy, Debug)]
pub struct World {
    pub engines: u8,
    pub freezes: u8,
    pub crashes: u8,
    /// Requests given up while they are on their way, and answers that nobody hears.
    pub losses: u8,
    /// Failovers to a standby that may lack the last writes.
    pub failovers: u8,
    /// All of these together.
    pub faults: u8,
    /// Engine 0 has claimed the branch already; otherwise it is ready.
    pub owned: bool,
    /// No tick passes before every engine that can has beaten, polled and been answered.
    pub prompt: bool,
    /// How far the calendar clock of engine 1 is ahead of everybody else's, in ticks.
    pub ahead: u8,
}

/// Two engines, of which the first has claimed the branch; nothing goes wrong.
pub const CALM: World = World {
    engines: 2,
    freezes: 0,
    crashes: 0,
    losses: 0,
    failovers: 0,
    faults: 0,
    owned: true,
    prompt: false,
    ahead: 0,
};

/// An engine may be frozen, and wake up.
pub const FREEZE: World = World { freezes: 1, ..CALM };

/// A request may be slow, late, or its answer lost.
pub const LOSS: World = World { losses: 1, ..CALM };

/// The database may fail over.
pub const FAILOVER: World = World {
    failovers: 1,
    ..CALM
};

/// The rules that are checked in one run of the checker.
#[derive(Clone, Copy, Debug)]
pub struct Protocol {
    pub removed: Option<Guard>,
    pub world: World,
    /// The last tick.
    pub horizon: u8,
}

impl Protocol {
    pub fn keeps(&self, guard: Guard) -> bool {
        self.removed != Some(guard)
    }

    /// The times of an observer: those of the window, but it polls once a tick.
    pub fn timing(&self) -> Timing {
        Timing {
            observe: TICK,
            ..Timing::of(TICK * u32::from(WINDOW))
        }
    }

    /// The times of a trust window: without the deadline, it never ends by itself.
    pub fn trust_timing(&self) -> Timing {
        let timing = self.timing();
        if self.keeps(Guard::Deadline) {
            return timing;
        }
        Timing {
            soft_limit: Duration::MAX,
            kill_at: Duration::MAX,
            dead_line: Duration::MAX,
            ..timing
        }
    }

    /// The heartbeat number after `seq`. Only whether it changes and rises matters, so it is made to
    /// tell the tick: then states that differ only in how many beats there were before are the same
    /// one. A failover may give a number twice, which this would hide; there it counts.
    pub fn next_seq(&self, seq: u8, now: u8) -> u8 {
        if !self.keeps(Guard::WideCounter) {
            (seq + 1) % 2
        } else if self.world.failovers > 0 {
            seq + 1
        } else {
            (seq + 1).max(4 * now)
        }
    }

    /// The calendar clock of an engine. It is kept only where somebody judges by it.
    pub fn calendar(&self, engine: u8, now: u8) -> u8 {
        match (self.keeps(Guard::WatchedSilence), engine) {
            (true, _) => 0,
            (false, 1) => now + self.world.ahead,
            (false, _) => now,
        }
    }
}

/// The boot time of every engine at a tick.
pub fn boot(tick: u8) -> BootTime {
    BootTime::default().plus(TICK * u32::from(tick))
}
