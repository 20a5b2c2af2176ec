//! What is simulated: engines, how they choose what to claim, and the work that comes.

/// How an engine decides how many ready branches it claims.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    pub name: &'static str,
    /// Whether engines hear of each other. If not, whoever looks first takes what it has room for.
    pub network: bool,
    /// Whether they have a resource monitor.
    pub scores: bool,
    /// Whether they report also as soon as they have claimed something.
    pub prompt: bool,
}

/// Without a network, and each way with one.
pub const POLICIES: [Policy; 5] = [
    policy("alone", false, false, false),
    policy("count", true, false, false),
    policy("count, prompt", true, false, true),
    policy("resources", true, true, false),
    policy("resources, prompt", true, true, true),
];

const fn policy(name: &'static str, network: bool, scores: bool, prompt: bool) -> Policy {
    Policy {
        name,
        network,
        scores,
        prompt,
    }
}

/// When branches become ready.
#[derive(Clone, Copy, Debug)]
pub enum Arrivals {
    /// One every so many milliseconds, on average.
    Steady(u64),
    /// So many at once, every so many milliseconds.
    Bursts(u64, u64),
    /// So many at the beginning, and more than anybody can run.
    Backlog(u64),
}

/// One row of the table for each policy.
#[derive(Clone, Debug)]
pub struct Scenario {
    pub name: &'static str,
    /// The concurrency of each engine.
    pub engines: Vec<u32>,
    pub arrivals: Arrivals,
    /// How long a branch runs on average.
    pub runs_ms: u64,
    pub seconds: u64,
    /// Every so many seconds an engine dies and a new one comes; 0 for never.
    pub change_s: u64,
    /// Of so many engines one sends forged reports, and claims nothing; 0 for none.
    pub forger_in: usize,
    /// Of so many engines one has a busy machine, with a quarter of the resources; 0 for none.
    pub busy_in: usize,
}

/// Capacities in the proportions 1 to 8.
fn skewed(count: usize, unit: u32) -> Vec<u32> {
    (0..count).map(|i| unit << (i % 4)).collect()
}

/// The scenarios of the default run, or the large ones.
pub fn all(large: bool) -> Vec<Scenario> {
    let base = Scenario {
        name: "",
        engines: vec![40; 8],
        arrivals: Arrivals::Steady(20),
        runs_ms: 2_000,
        seconds: 20,
        change_s: 0,
        forger_in: 0,
        busy_in: 0,
    };
    let with = |name, engines: Vec<u32>, arrivals| Scenario {
        name,
        engines,
        arrivals,
        ..base.clone()
    };
    let seconds = 10;
    // Every branch nudges all engines, so that with many of both it takes long.
    let (n, some) = if large { (200, 50) } else { (24, 24) };
    let steadily = Arrivals::Steady(8);
    let bursts = Arrivals::Bursts(10 * n as u64, 4_000);
    vec![
        with("2 engines", vec![40; 2], Arrivals::Steady(60)),
        with("8, rarely", vec![40; 8], Arrivals::Steady(700)),
        with("8, steadily", vec![40; 8], Arrivals::Steady(20)),
        with("8, in bursts", vec![40; 8], Arrivals::Bursts(100, 3_000)),
        with("8, too much", vec![40; 8], Arrivals::Backlog(1_000)),
        Scenario {
            change_s: 5,
            ..with("8, come and go", vec![40; 8], Arrivals::Steady(20))
        },
        Scenario {
            forger_in: 8,
            ..with("8, one forges", vec![40; 8], Arrivals::Steady(20))
        },
        Scenario {
            busy_in: 4,
            ..with("8, two are busy", vec![40; 8], Arrivals::Steady(20))
        },
        Scenario {
            seconds,
            ..with("many, unequal, steadily", skewed(some, 10), steadily)
        },
        Scenario {
            seconds,
            ..with("many, unequal, bursts", skewed(n, 10), bursts)
        },
    ]
}
