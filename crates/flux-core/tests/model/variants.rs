//! The variants: the full protocol in several worlds, and each guard removed once.

use crate::properties::{L1, L2, S1, S2, S2B, S4, S5, S12};
use crate::variant::{FAILOVER, Guard, WORLD, World};

/// One run of the checker and what it must find.
pub struct Variant {
    pub name: &'static str,
    pub removed: Option<Guard>,
    pub world: World,
    /// Exactly the rules that break.
    pub breaks: &'static [&'static str],
    /// The last tick in continuous integration, and in full.
    pub ticks: (u8, u8),
}

const BASE: Variant = Variant {
    name: "full protocol",
    removed: None,
    world: WORLD,
    breaks: &[],
    ticks: (4, 7),
};

pub const FULL: Variant = BASE;

pub const THREE_ENGINES: Variant = Variant {
    name: "three engines",
    world: World {
        engines: 3,
        losses: 0,
        ..WORLD
    },
    ticks: (3, 5),
    ..BASE
};

pub const PROMPT: Variant = Variant {
    name: "prompt, a crash",
    world: World {
        prompt: true,
        losses: 0,
        freezes: 0,
        ..WORLD
    },
    ticks: (7, 12),
    ..BASE
};

pub const FAILS_OVER: Variant = Variant {
    name: "database failover",
    world: FAILOVER,
    ticks: (3, 6),
    ..BASE
};

pub const NO_FENCE: Variant = Variant {
    name: "no fence",
    removed: Some(Guard::Fence),
    breaks: &[S1, S2],
    ..BASE
};

pub const NO_OWNER_AND_EPOCH: Variant = Variant {
    name: "fence: commit number only",
    removed: Some(Guard::OwnerAndEpoch),
    breaks: &[S1],
    ..BASE
};

pub const NO_OWNER: Variant = Variant {
    name: "fence: no owner, database failover",
    removed: Some(Guard::Owner),
    world: FAILOVER,
    breaks: &[S1],
    ..BASE
};

pub const NO_COMMIT_NUMBER: Variant = Variant {
    name: "fence: no commit number",
    removed: Some(Guard::CommitNumber),
    breaks: &[S2],
    ..BASE
};

pub const NO_COMMIT_NUMBER_FAILOVER: Variant = Variant {
    name: "fence: no commit number, database failover",
    removed: Some(Guard::CommitNumber),
    world: FAILOVER,
    breaks: &[S2, S2B],
    ..BASE
};

pub const NO_COMPARISON: Variant = Variant {
    name: "conviction does not compare",
    removed: Some(Guard::ConvictionCompares),
    breaks: &[S4, S5],
    ..BASE
};

pub const NO_DEADLINE: Variant = Variant {
    name: "no deadline",
    removed: Some(Guard::Deadline),
    breaks: &[S5],
    ..BASE
};

pub const NO_DEADLINE_NO_FREEZE: Variant = Variant {
    name: "no deadline, no freeze",
    world: World {
        freezes: 0,
        ..WORLD
    },
    ..NO_DEADLINE
};

pub const NO_RESET: Variant = Variant {
    name: "observers go on at a database failover",
    removed: Some(Guard::ObserversReset),
    world: FAILOVER,
    breaks: &[S4, S5],
    ..BASE
};

pub const NO_REVALIDATION: Variant = Variant {
    name: "owners go on at a database failover",
    removed: Some(Guard::OwnersRevalidate),
    world: FAILOVER,
    breaks: &[S5],
    ..BASE
};

pub const NO_ALIVE_CHECK: Variant = Variant {
    name: "the dead may claim",
    removed: Some(Guard::ClaimerIsAlive),
    world: World {
        owned: false,
        ..WORLD
    },
    breaks: &[S12],
    ..BASE
};

pub const STAMPS: Variant = Variant {
    name: "judging by stamps, a clock is ahead",
    removed: Some(Guard::WatchedSilence),
    world: World { ahead: 4, ..WORLD },
    breaks: &[S4, S5],
    ..BASE
};

pub const STAMPS_PROMPT: Variant = Variant {
    name: "judging by stamps, prompt",
    removed: Some(Guard::WatchedSilence),
    world: World {
        ahead: 4,
        ..PROMPT.world
    },
    breaks: &[S4, S5, L1],
    ..PROMPT
};

pub const NARROW_COUNTER: Variant = Variant {
    name: "the heartbeat number wraps",
    removed: Some(Guard::WideCounter),
    breaks: &[S4, S5],
    ..BASE
};

pub const LOST_CLAIM: Variant = Variant {
    name: "prompt, a lost answer",
    world: World {
        prompt: true,
        owned: false,
        freezes: 0,
        crashes: 0,
        ..WORLD
    },
    breaks: &[L2],
    ticks: (4, 8),
    ..BASE
};
