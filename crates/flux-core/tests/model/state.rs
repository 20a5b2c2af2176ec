//! Everything that can differ between two moments of the model.

use flux_core::ownership::{Observer, Trust, TrustWindow};

use crate::database::{Committed, Database, Fence, Who};
use crate::variant::{Protocol, boot};

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    pub now: u8,
    pub database: Database,
    /// What a standby that has fallen behind would come up with.
    pub standby: Option<Database>,
    pub engines: Vec<Engine>,
    /// Requests whose sender waits no more; the database may still get them, in any order.
    pub late: Vec<Request>,
    pub left: Left,
    pub facts: Facts,
}

/// How many faults may still happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Left {
    pub freezes: u8,
    pub crashes: u8,
    pub losses: u8,
    pub failovers: u8,
    /// All of these together.
    pub faults: u8,
}

/// What the properties are judged by; no rule of the protocol reads it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Facts {
    /// When the last heartbeat of each incarnation was applied, in whichever database.
    pub beats: Vec<(Who, u8)>,
    /// When engines crashed. Kept only where the world is prompt.
    pub crashed: Vec<(Who, u8)>,
    /// For how many ticks an engine has owned the branch without knowing it. Likewise.
    pub stranded: u8,
    pub stranger_committed: bool,
    pub convicted_early: bool,
    pub dead_claimed: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Engine {
    pub who: Who,
    pub mode: Mode,
    pub trust: TrustWindow,
    pub observer: Observer,
    pub beat: Call<u8, bool>,
    /// In this tick.
    pub had_turn: bool,
    pub verdict: Option<Verdict>,
    pub work: Work,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mode {
    Up,
    Frozen,
    Down,
}

/// A question to the database, and its answer until the engine hears it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Call<Q, A> {
    None,
    Sent(Q),
    Answered(Q, A),
}

/// A conviction on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Verdict {
    pub who: Who,
    pub seen_seq: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Work {
    None,
    Claiming(Call<(), Option<Fence>>),
    Holding { fence: Fence, phase: Phase },
}

/// What the owner of a branch is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    Idle,
    /// It was frozen after it had looked at its trust, and before it started the action.
    Checked,
    /// `frozen`: it was, since it looked at its trust.
    /// `began`: in this tick, so that it goes on at least until the next.
    Acting {
        frozen: bool,
        began: bool,
    },
    /// `again`: the answer to the first try did not come in time.
    Committing {
        call: Call<(), Committed>,
        again: bool,
    },
}

/// What may reach the database late.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Request {
    Beat(Who),
    Convict(Verdict),
    Claim(Who),
    Commit(Fence),
}

impl State {
    pub fn new(protocol: &Protocol) -> Self {
        let world = protocol.world;
        let mut state = Self {
            now: 0,
            database: Database::new(),
            standby: None,
            engines: Vec::new(),
            late: Vec::new(),
            left: Left {
                freezes: world.freezes,
                crashes: world.crashes,
                losses: world.losses,
                failovers: world.failovers,
                faults: world.faults,
            },
            facts: Facts {
                beats: Vec::new(),
                crashed: Vec::new(),
                stranded: 0,
                stranger_committed: false,
                convicted_early: false,
                dead_claimed: false,
            },
        };
        for engine in 0..world.engines {
            let who = Who { engine, life: 0 };
            state.engines.push(Engine::new(who, protocol));
            state.join(who, protocol);
            // Everybody's first heartbeat has succeeded.
            state.apply(Request::Beat(who), protocol);
            let trust = &mut state.engines[usize::from(engine)].trust;
            trust.renew(boot(0), boot(0));
        }
        if world.owned {
            let first = &mut state.engines[0];
            if let Some(fence) = state.database.claim(first.who, protocol) {
                let phase = Phase::Idle;
                first.work = Work::Holding { fence, phase };
            }
        }
        state
    }

    pub fn join(&mut self, who: Who, protocol: &Protocol) {
        let stamp = protocol.calendar(who.engine, self.now);
        self.database.join(who, stamp);
        self.facts.beat(who, self.now);
    }

    /// Lets the database do what nobody waits for.
    pub fn apply(&mut self, request: Request, protocol: &Protocol) {
        match request {
            Request::Beat(who) => {
                self.beat(who, protocol);
            }
            Request::Convict(verdict) => {
                self.convict(verdict, protocol);
            }
            Request::Claim(who) => {
                self.claim(who, protocol);
            }
            Request::Commit(fence) => {
                self.commit(fence, protocol);
            }
        }
    }

    pub fn beat(&mut self, who: Who, protocol: &Protocol) -> bool {
        let alive = self.database.beat(who, self.now, protocol);
        if alive {
            self.facts.beat(who, self.now);
        }
        alive
    }

    pub fn convict(&mut self, verdict: Verdict, protocol: &Protocol) -> bool {
        let Verdict { who, seen_seq } = verdict;
        let done = self.database.convict(who, seen_seq, protocol);
        self.facts.convicted_early |= done && !self.facts.silent(who, self.now);
        done
    }

    pub fn claim(&mut self, who: Who, protocol: &Protocol) -> Option<Fence> {
        let alive = self.database.alive(who);
        let claimed = self.database.claim(who, protocol);
        self.facts.dead_claimed |= claimed.is_some() && !alive;
        claimed
    }

    pub fn commit(&mut self, fence: Fence, protocol: &Protocol) -> Committed {
        let branch = self.database.branch;
        let owned = branch.owner == Some(fence.owner) && branch.epoch == fence.epoch;
        self.facts.stranger_committed |= self.database.admits(fence, protocol) && !owned;
        self.database.commit(fence, protocol)
    }

    /// Whether `engine` owns the branch and does not know of it.
    pub fn strays(&self, engine: &Engine) -> bool {
        let idle = engine.work == Work::None && engine.trust(self.now) != Trust::Lost;
        engine.is_up() && idle && self.database.branch.owner == Some(engine.who)
    }

    /// Nobody waits any more for these, but they are on their way.
    pub fn abandon(&mut self, requests: impl IntoIterator<Item = Request>) {
        self.late.extend(requests);
        self.late.sort_unstable();
    }
}

impl Left {
    pub fn freeze(&self) -> bool {
        self.faults > 0 && self.freezes > 0
    }

    pub fn crash(&self) -> bool {
        self.faults > 0 && self.crashes > 0
    }

    pub fn fail_over(&self) -> bool {
        self.faults > 0 && self.failovers > 0
    }

    pub fn lose(&self) -> bool {
        self.faults > 0 && self.losses > 0
    }
}

impl Facts {
    fn beat(&mut self, who: Who, now: u8) {
        self.beats.retain(|(known, _)| *known != who);
        self.beats.push((who, now));
        self.beats.sort_unstable();
    }

    /// Whether no heartbeat of `who` has been applied for its whole window.
    fn silent(&self, who: Who, now: u8) -> bool {
        let last = self.beats.iter().find(|(known, _)| *known == who);
        last.is_none_or(|(_, at)| now - at >= crate::variant::WINDOW)
    }
}

impl Engine {
    pub fn new(who: Who, protocol: &Protocol) -> Self {
        Self {
            who,
            mode: Mode::Up,
            trust: TrustWindow::new(protocol.trust_timing()),
            observer: Observer::new(who.incarnation(), protocol.timing()),
            beat: Call::None,
            had_turn: false,
            verdict: None,
            work: Work::None,
        }
    }

    pub fn trust(&self, now: u8) -> Trust {
        self.trust.state(boot(now))
    }

    /// Whether its heartbeat and its observer are due in this tick.
    pub fn has_turn(&self, now: u8) -> bool {
        self.is_up() && !self.had_turn && self.trust(now) != Trust::Lost
    }

    pub fn is_up(&self) -> bool {
        self.mode == Mode::Up
    }

    /// Whether the answer to a heartbeat, claim or commit is on its way to it.
    pub fn is_answered(&self) -> bool {
        let work = match self.work {
            Work::Claiming(call) => matches!(call, Call::Answered(..)),
            Work::Holding {
                phase: Phase::Committing { call, .. },
                ..
            } => matches!(call, Call::Answered(..)),
            Work::None | Work::Holding { .. } => false,
        };
        work || matches!(self.beat, Call::Answered(..))
    }

    /// Whether it performs the action, and was not frozen between its clock and the act.
    pub fn acts_in_good_order(&self) -> bool {
        matches!(
            self.work,
            Work::Holding {
                phase: Phase::Acting { frozen: false, .. },
                ..
            }
        )
    }

    /// Whether it performs the action at all.
    pub fn acts(&self) -> bool {
        matches!(
            self.work,
            Work::Holding {
                phase: Phase::Acting { .. },
                ..
            }
        )
    }

    /// Forgets the branch; what it had sent is still on its way.
    pub fn let_go(&mut self) -> Option<Request> {
        match std::mem::replace(&mut self.work, Work::None) {
            Work::Claiming(Call::Sent(())) => Some(Request::Claim(self.who)),
            Work::Holding {
                fence,
                phase:
                    Phase::Committing {
                        call: Call::Sent(()),
                        ..
                    },
            } => Some(Request::Commit(fence)),
            _ => None,
        }
    }

    /// Ends this incarnation's doings, killed or crashed; what it had sent is still on its way.
    pub fn stop(&mut self) -> Vec<Request> {
        let beat = match std::mem::replace(&mut self.beat, Call::None) {
            Call::Sent(_) => Some(Request::Beat(self.who)),
            Call::None | Call::Answered(..) => None,
        };
        let verdict = self.verdict.take().map(Request::Convict);
        let work = self.let_go();
        self.observer.reset();
        [beat, verdict, work].into_iter().flatten().collect()
    }
}
