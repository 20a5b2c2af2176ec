//! Which fault comes when: drawn from the seed alone. The numbers are rows of the fault catalogue.

use crate::dice::Dice;
use flux_testkit::postgres::Mode;
use flux_testkit::proxy::Cut;
use std::time::Duration;

/// Engines of the cluster. Behind their ways to the database there is one more: that of the clients.
pub const ENGINES: usize = 5;

/// The failover time window of all engines.
pub const WINDOW: Duration = Duration::from_secs(4);

/// One fault.
#[derive(Clone, Debug, PartialEq)]
pub enum Fault {
    /// 1a01, 1a17, 1a18: SIGKILL; a new engine comes at the end, perhaps with the same name.
    Kill { engine: usize, renamed: bool },
    /// 1a03, 1a04, 1a05: SIGSTOP, and SIGCONT at the end.
    Freeze { engine: usize },
    /// 1a21: SIGKILL to all of them; as many new ones come at the end.
    KillAll,
    /// 1b27: SIGSTOP to all of them, and SIGCONT at the end.
    FreezeAll,
    /// 1a19: SIGTERM; a new engine comes when it has ended.
    Drain { engine: usize, renamed: bool },
    /// 1a20: SIGTERM, and SIGKILL at the end.
    DrainAndKill { engine: usize },
    /// 1b24: its calendar steps by so many seconds, and back at the end.
    Calendar { engine: usize, seconds: i32 },
    /// 1c34, 1c36, 1c37: cut off from the database.
    CutOff { way: usize, manner: Manner },
    /// 1c41: COMMITs of one side are cut with this probability.
    LoseCommits {
        way: usize,
        cut: Cut,
        probability: f64,
    },
    /// 1c32, 1c33: the server is away.
    Outage { mode: Mode },
    /// 1c38: the server is frozen.
    Stall,
    /// 1c38: another session holds locks, and does nothing.
    Lock { what: Lock },
    /// 1c37: some of the connections are ended by the server.
    Terminate { share: f64 },
    /// 1c40: others take all connections.
    Crowd,
    /// 1c46: the server takes no writes.
    ReadOnly,
}

/// How an engine is cut off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// Its connections are closed, once.
    Reset,
    /// They are closed, and new ones refused.
    Refused,
    /// Nothing arrives, and nobody is told.
    Silent,
    /// What it is told does not arrive.
    Deaf,
    /// What it says does not arrive.
    Mute,
    /// All arrives, a third of a second later.
    Slow,
}

/// What is locked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lock {
    /// All of the table with this name.
    Table(&'static str),
    /// So many of its rows.
    Rows(&'static str, usize),
}

/// A fault and its time.
#[derive(Clone, Debug)]
pub struct Planned {
    /// How long all is well before.
    pub pause: Duration,
    /// It may begin while another one lasts.
    pub beside: bool,
    pub fault: Fault,
    /// How long it lasts.
    pub length: Duration,
}

/// What a fault affects; two at a time affect different things.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// One engine or its way to the database; or that of the clients.
    Way(usize),
    /// All engines.
    Engines,
    /// The server, and so everybody.
    Server,
}

impl Scope {
    /// Whether two faults would hurt the same.
    pub fn meets(self, other: Scope) -> bool {
        let engines = |one, other| one == Scope::Engines && matches!(other, Scope::Way(_));
        self == other || engines(self, other) || engines(other, self)
    }
}

/// All faults of a seed, without end.
#[derive(Debug)]
pub struct Plan {
    dice: Dice,
    calendars: bool,
}

impl Plan {
    /// With faults of calendars if processes can be given wrong ones.
    pub fn new(dice: Dice, calendars: bool) -> Plan {
        Plan { dice, calendars }
    }
}

impl Iterator for Plan {
    type Item = Planned;

    fn next(&mut self) -> Option<Planned> {
        let fault = self.draw();
        let dice = &mut self.dice;
        let beside = dice.chance(0.25);
        let pause = dice.between(0.3, if beside { 1.5 } else { 3.0 });
        let windows = match &fault {
            Fault::Terminate { .. }
            | Fault::CutOff {
                manner: Manner::Reset,
                ..
            } => 0.0,
            Fault::Kill { .. } | Fault::KillAll => dice.one_of(&[0.0, 0.0, 0.3, 1.5]),
            Fault::Drain { .. } | Fault::DrainAndKill { .. } => dice.between(0.0, 0.3),
            Fault::Outage { .. } if dice.chance(0.4) => 0.0,
            _ if dice.chance(0.5) => dice.between(0.1, 0.6),
            _ => dice.between(0.6, 3.0),
        };
        Some(Planned {
            pause: Duration::from_secs_f64(pause),
            beside,
            fault,
            length: WINDOW.mul_f64(windows),
        })
    }
}

impl Plan {
    fn draw(&mut self) -> Fault {
        let dice = &mut self.dice;
        let engine = dice.below(ENGINES);
        let way = dice.below(ENGINES + 1);
        let kinds = if self.calendars { 18 } else { 17 };
        match dice.below(kinds) {
            0..=2 => Fault::Kill {
                engine,
                renamed: dice.chance(0.5),
            },
            3 | 4 => Fault::Freeze { engine },
            5 => Fault::Drain {
                engine,
                renamed: dice.chance(0.5),
            },
            6 => Fault::DrainAndKill { engine },
            7 | 8 => Fault::CutOff {
                way,
                manner: dice.one_of(&[
                    Manner::Reset,
                    Manner::Refused,
                    Manner::Silent,
                    Manner::Deaf,
                    Manner::Mute,
                    Manner::Slow,
                ]),
            },
            9 | 10 => Fault::LoseCommits {
                way,
                cut: dice.one_of(&[
                    Cut::BeforeForwarding,
                    Cut::BeforeAnswer,
                    Cut::AfterForwarding,
                ]),
                probability: dice.one_of(&[0.1, 0.5, 1.0]),
            },
            11 => Fault::Outage {
                mode: dice.one_of(&[Mode::Fast, Mode::Immediate, Mode::Kill]),
            },
            12 => match dice.below(3) {
                0 => Fault::Stall,
                1 => Fault::Crowd,
                _ => Fault::ReadOnly,
            },
            13 | 14 => Fault::Lock { what: lock(dice) },
            15 => Fault::Terminate {
                share: dice.one_of(&[0.3, 1.0]),
            },
            16 if dice.chance(0.5) => Fault::KillAll,
            16 => Fault::FreezeAll,
            // Less than what makes an engine distrust its own calendar. The server keeps its own: its
            // backends do not survive libfaketime for long.
            _ => Fault::Calendar {
                engine,
                seconds: dice.one_of(&[-20, -5, 5, 20]),
            },
        }
    }
}

fn lock(dice: &mut Dice) -> Lock {
    let table = dice.one_of(&["branch", "run", "member", "history", "signal"]);
    if dice.chance(0.5) {
        return Lock::Table(table);
    }
    let table = dice.one_of(&["branch", "run", "member"]);
    Lock::Rows(table, 1 + dice.below(8))
}

impl Fault {
    pub fn scope(&self) -> Scope {
        match self {
            Fault::Kill { engine, .. }
            | Fault::Freeze { engine }
            | Fault::Drain { engine, .. }
            | Fault::DrainAndKill { engine }
            | Fault::Calendar { engine, .. } => Scope::Way(*engine),
            Fault::KillAll | Fault::FreezeAll => Scope::Engines,
            Fault::CutOff { way, .. } | Fault::LoseCommits { way, .. } => Scope::Way(*way),
            Fault::Outage { .. }
            | Fault::Stall
            | Fault::Lock { .. }
            | Fault::Terminate { .. }
            | Fault::Crowd
            | Fault::ReadOnly => Scope::Server,
        }
    }
}
