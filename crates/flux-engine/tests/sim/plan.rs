//! What a life holds: drawn from its seed before it begins.

use crate::rng::Rng;
use crate::workflow::SHAPES;
use crate::world::Halt;
use std::time::Duration;

pub struct Plan {
    pub engines: Vec<EnginePlan>,
    pub runs: Vec<RunPlan>,
    /// In the order of their times.
    pub faults: Vec<(Duration, Fault)>,
    pub outages: Vec<Outage>,
    /// How the store treats single calls.
    pub calls: Calls,
    /// From here on nothing goes wrong any more.
    pub heal_at: Duration,
    pub poison_limit: u32,
    pub max_cluster_size: u32,
    pub scheduled: bool,
    pub killer: bool,
    /// Whether a detection is timed at the end.
    pub detection: bool,
}

pub struct EnginePlan {
    pub window: Duration,
    pub concurrency: u32,
    pub poll: Duration,
    /// Millionths.
    pub rate: u64,
    pub boot_offset: Duration,
    pub calendar_offset_ms: i64,
}

pub struct RunPlan {
    pub at: Duration,
    pub shape: u64,
    /// When each of its signals is sent, after its submission.
    pub signals_after: Duration,
}

/// Something that happens to an engine.
#[derive(Clone, Copy, Debug)]
pub enum Fault {
    Crash {
        engine: usize,
        back_after: Duration,
    },
    Halt {
        engine: usize,
        what: Halt,
        lasts: Duration,
    },
    /// A clean stop, and a new start when it is over.
    Drain {
        engine: usize,
    },
    /// Its calendar jumps.
    Jump {
        engine: usize,
        by_ms: i64,
    },
}

/// A time in which the store cannot be reached.
pub struct Outage {
    pub from: Duration,
    pub until: Duration,
    /// `None`: by nobody.
    pub engine: Option<usize>,
    /// Requests still arrive, answers do not.
    pub one_way: bool,
}

/// Chances in thousandths, for each call.
#[derive(Clone, Copy, Default)]
pub struct Calls {
    /// It fails, and nothing is done.
    pub fail_before: u64,
    /// It is done, and fails.
    pub fail_after: u64,
    /// It fails, and is done later.
    pub late: u64,
    /// Request or answer take up to `slowest`.
    pub slow: u64,
    pub slowest: Duration,
}

const SECOND: Duration = Duration::from_secs(1);

impl Plan {
    pub fn draw(rng: &mut Rng) -> Plan {
        let window = rng.pick(&[2, 3, 3, 5]) * SECOND;
        let differing = rng.permille(150);
        let (rates, skew) = (rng.permille(500), rng.permille(400));
        let count = rng.between(2, 5) as usize;
        let engines: Vec<_> = (0..count)
            .map(|_| engine(rng, window, differing, rates, skew))
            .collect();
        let heal_at = window * rng.between(3, 7) as u32;
        let killer = rng.permille(60);
        Plan {
            runs: runs(rng, heal_at),
            faults: faults(rng, count, window, heal_at, skew),
            outages: outages(rng, count, window, heal_at),
            calls: calls(rng, window),
            engines,
            heal_at,
            poison_limit: if killer { 3 } else { 1_000 },
            max_cluster_size: if rng.permille(100) { count as u32 } else { 35 },
            scheduled: rng.permille(150),
            killer,
            detection: rng.permille(300),
        }
    }

    /// How far two calendars may be apart.
    pub fn widest_skew(&self) -> Duration {
        let offsets = self.engines.iter().map(|e| e.calendar_offset_ms);
        let jumps = self.faults.iter().map(|(_, fault)| match fault {
            Fault::Jump { by_ms, .. } => by_ms.unsigned_abs(),
            _ => 0,
        });
        let widest: u64 = offsets.map(i64::unsigned_abs).max().unwrap_or(0) + jumps.sum::<u64>();
        Duration::from_millis(2 * widest)
    }

    /// Whether every call is answered.
    pub fn is_sound(&self) -> bool {
        let Calls {
            fail_before,
            fail_after,
            late,
            ..
        } = self.calls;
        self.outages.is_empty() && fail_before + fail_after + late == 0
    }

    /// Until when an outage that holds now for this engine lasts, and whether it is one-way.
    pub fn outage(&self, now: Duration, engine: Option<usize>) -> Option<(Duration, bool)> {
        let meant = |outage: &&Outage| {
            (outage.engine.is_none() || outage.engine == engine)
                && outage.from <= now
                && now < outage.until
        };
        let outage = self.outages.iter().find(meant)?;
        Some((outage.until, outage.one_way))
    }
}

fn engine(rng: &mut Rng, window: Duration, differing: bool, rates: bool, skew: bool) -> EnginePlan {
    EnginePlan {
        window: if differing {
            rng.pick(&[2, 3, 5]) * SECOND
        } else {
            window
        },
        concurrency: rng.between(1, 6) as u32,
        poll: Duration::from_millis(rng.pick(&[400, 700, 1_000])),
        rate: if rates {
            rng.between(980_000, 1_020_000)
        } else {
            1_000_000
        },
        boot_offset: rng.up_to(1_000_000 * SECOND),
        calendar_offset_ms: if skew {
            rng.between(0, 10_000) as i64 - 5_000
        } else {
            0
        },
    }
}

fn runs(rng: &mut Rng, heal_at: Duration) -> Vec<RunPlan> {
    let count = rng.between(3, 12);
    let mut runs: Vec<_> = (0..count)
        .map(|_| RunPlan {
            at: rng.up_to(heal_at),
            shape: rng.below(SHAPES),
            signals_after: rng.up_to(3 * SECOND),
        })
        .collect();
    runs.sort_by_key(|run| run.at);
    runs
}

fn faults(
    rng: &mut Rng,
    engines: usize,
    window: Duration,
    heal_at: Duration,
    skew: bool,
) -> Vec<(Duration, Fault)> {
    let (crashes, freezes) = (rng.permille(600), rng.permille(600));
    let (stalls, drains) = (rng.permille(300), rng.permille(250));
    let mut faults = Vec::new();
    for _ in 0..rng.between(0, 10) {
        let at = rng.up_to(heal_at);
        let engine = rng.below(engines as u64) as usize;
        let lasts = rng.up_to(window * 3);
        let fault = match rng.below(5) {
            0 if crashes => Fault::Crash {
                engine,
                back_after: lasts,
            },
            1 if freezes => Fault::Halt {
                engine,
                what: Halt::Process,
                lasts,
            },
            2 if stalls => Fault::Halt {
                engine,
                what: Halt::Runtime,
                lasts,
            },
            3 if drains => Fault::Drain { engine },
            4 if skew => Fault::Jump {
                engine,
                by_ms: rng.between(0, 6_000) as i64 - 3_000,
            },
            _ => continue,
        };
        faults.push((at, fault));
    }
    faults.sort_by_key(|(at, _)| *at);
    faults
}

fn outages(rng: &mut Rng, engines: usize, window: Duration, heal_at: Duration) -> Vec<Outage> {
    if rng.permille(500) {
        return Vec::new();
    }
    (0..rng.between(1, 3))
        .map(|_| {
            let from = rng.up_to(heal_at);
            let everybody = rng.permille(400);
            Outage {
                from,
                until: (from + rng.up_to(window * 2)).min(heal_at),
                engine: (!everybody).then(|| rng.below(engines as u64) as usize),
                one_way: rng.permille(300),
            }
        })
        .collect()
}

fn calls(rng: &mut Rng, window: Duration) -> Calls {
    let mut chance = |most: u64| {
        if rng.permille(400) {
            rng.below(most)
        } else {
            0
        }
    };
    let (fail_before, fail_after, late, slow) = (chance(60), chance(60), chance(30), chance(120));
    Calls {
        fail_before,
        fail_after,
        late,
        slow,
        slowest: rng.up_to(window * 2),
    }
}
