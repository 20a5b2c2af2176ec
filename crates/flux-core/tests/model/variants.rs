//! The variants: the full protocol in several worlds, and each guard removed once.
//!
//! A variant without a guard lives in the smallest world in which the guard is missed, so that the
//! checker gets far in it.

use crate::properties::{L1, L2, S1, S2, S2B, S4, S5, S12};
use crate::variant::{CALM, FAILOVER, FREEZE, Guard, LOSS, World};

/// One run of the checker and what it must find.
pub struct Variant {
    pub name: &'static str,
    pub removed: Option<Guard>,
    /// Its total of faults is that of the extent.
    pub world: World,
    /// Exactly the rules that break.
    pub breaks: &'static [&'static str],
    /// Those that break too when the checker goes as far as it does in full.
    pub later: &'static [&'static str],
    /// How far continuous integration goes.
    pub quick: Extent,
    /// How far `cargo xtask model` goes.
    pub full: Extent,
}

/// How far the checker goes.
#[derive(Clone, Copy)]
pub struct Extent {
    /// The last tick.
    pub ticks: u8,
    /// Faults of all kinds together.
    pub faults: u8,
}

const fn up_to(ticks: u8, faults: u8) -> Extent {
    Extent { ticks, faults }
}

const BASE: Variant = Variant {
    name: "full protocol",
    removed: None,
    world: World {
        freezes: 1,
        crashes: 1,
        losses: 1,
        ..CALM
    },
    breaks: &[],
    later: &[],
    quick: up_to(3, 1),
    full: up_to(4, 2),
};

pub const FULL: Variant = BASE;

pub const LONGER: Variant = Variant {
    name: "full protocol, longer",
    quick: up_to(2, 1),
    full: up_to(6, 1),
    ..BASE
};

pub const THREE_ENGINES: Variant = Variant {
    name: "three engines",
    world: World {
        engines: 3,
        freezes: 1,
        ..CALM
    },
    breaks: &[],
    later: &[],
    quick: up_to(2, 0),
    full: up_to(3, 1),
    ..BASE
};

pub const FAILS_OVER: Variant = Variant {
    name: "database failover",
    world: World {
        losses: 1,
        owned: false,
        ..FAILOVER
    },
    breaks: &[],
    later: &[],
    quick: up_to(2, 1),
    full: up_to(3, 2),
    ..BASE
};

pub const PROMPT: Variant = Variant {
    name: "prompt, a crash",
    world: World {
        prompt: true,
        crashes: 1,
        ..CALM
    },
    breaks: &[],
    later: &[],
    quick: up_to(6, 1),
    full: up_to(12, 1),
    ..BASE
};

pub const NO_FENCE: Variant = Variant {
    name: "no fence",
    removed: Some(Guard::Fence),
    world: FREEZE,
    breaks: &[S1, S2, S5],
    later: &[S2B],
    quick: up_to(4, 1),
    full: up_to(5, 1),
};

pub const NO_OWNER_AND_EPOCH: Variant = Variant {
    name: "fence without owner and epoch",
    removed: Some(Guard::OwnerAndEpoch),
    world: FREEZE,
    breaks: &[S1, S5],
    later: &[],
    quick: up_to(4, 1),
    full: up_to(5, 1),
};

pub const NO_OWNER: Variant = Variant {
    name: "fence without owner, database failover",
    removed: Some(Guard::Owner),
    world: World {
        losses: 1,
        owned: false,
        ..FAILOVER
    },
    breaks: &[S1],
    later: &[S5],
    quick: up_to(1, 2),
    full: up_to(3, 2),
};

pub const NO_COMMIT_NUMBER: Variant = Variant {
    name: "fence without commit number",
    removed: Some(Guard::CommitNumber),
    world: LOSS,
    breaks: &[S2],
    later: &[S2B],
    quick: up_to(2, 1),
    full: up_to(4, 1),
};

pub const NO_COMMIT_NUMBER_FAILOVER: Variant = Variant {
    name: "the same, database failover",
    removed: Some(Guard::CommitNumber),
    world: World {
        losses: 1,
        ..FAILOVER
    },
    breaks: &[S2, S2B],
    later: &[],
    quick: up_to(2, 2),
    full: up_to(3, 2),
};

pub const NO_COMPARISON: Variant = Variant {
    name: "conviction compares nothing",
    removed: Some(Guard::ConvictionCompares),
    world: World { losses: 2, ..CALM },
    breaks: &[S4],
    later: &[],
    quick: up_to(3, 2),
    full: up_to(4, 2),
};

pub const NO_DEADLINE: Variant = Variant {
    name: "no deadline",
    removed: Some(Guard::Deadline),
    world: CALM,
    breaks: &[S5],
    later: &[],
    quick: up_to(4, 0),
    full: up_to(7, 0),
};

pub const TRUST_FROM_ANSWER: Variant = Variant {
    name: "trust counts from the answer",
    removed: Some(Guard::TrustFromSending),
    world: LOSS,
    breaks: &[S5],
    later: &[],
    quick: up_to(3, 1),
    full: up_to(4, 1),
};

pub const NO_RESET: Variant = Variant {
    name: "observers go on at a database failover",
    removed: Some(Guard::ObserversReset),
    world: FAILOVER,
    breaks: &[S4, S5],
    later: &[],
    quick: up_to(3, 1),
    full: up_to(5, 1),
};

pub const NO_REVALIDATION: Variant = Variant {
    name: "owners go on at a database failover",
    removed: Some(Guard::OwnersRevalidate),
    world: World {
        owned: false,
        ..FAILOVER
    },
    breaks: &[S5],
    later: &[],
    quick: up_to(1, 1),
    full: up_to(4, 1),
};

pub const NO_ALIVE_CHECK: Variant = Variant {
    name: "the dead may claim",
    removed: Some(Guard::ClaimerIsAlive),
    world: World {
        owned: false,
        ..LOSS
    },
    breaks: &[S12],
    later: &[],
    quick: up_to(3, 1),
    full: up_to(5, 1),
};

pub const STAMPS: Variant = Variant {
    name: "judging by stamps, a clock is ahead",
    removed: Some(Guard::WatchedSilence),
    world: World { ahead: 4, ..CALM },
    breaks: &[S4, S5],
    later: &[],
    quick: up_to(3, 0),
    full: up_to(6, 0),
};

pub const STAMPS_PROMPT: Variant = Variant {
    name: "judging by stamps, prompt",
    removed: Some(Guard::WatchedSilence),
    world: World {
        ahead: 4,
        ..PROMPT.world
    },
    breaks: &[S4, S5, L1],
    later: &[],
    quick: up_to(5, 1),
    full: up_to(8, 1),
};

pub const NARROW_COUNTER: Variant = Variant {
    name: "the heartbeat number wraps",
    removed: Some(Guard::WideCounter),
    world: CALM,
    breaks: &[S4, S5],
    later: &[],
    quick: up_to(4, 0),
    full: up_to(7, 0),
};

pub const LOST_CLAIM: Variant = Variant {
    name: "prompt, a lost message",
    world: World {
        prompt: true,
        owned: false,
        ..LOSS
    },
    breaks: &[],
    later: &[],
    quick: up_to(4, 1),
    full: up_to(8, 1),
    ..BASE
};

pub const NO_GIVING_BACK: Variant = Variant {
    name: "strays are not given back, prompt",
    removed: Some(Guard::StraysGivenBack),
    breaks: &[L2],
    ..LOST_CLAIM
};
