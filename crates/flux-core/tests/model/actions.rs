//! What may happen next, and what it changes.

use flux_core::ownership::Trust;
use stateright::{Model, Property};

use crate::state::{Call, Engine, Mode, Phase, Request, State, Work};
use crate::variant::{Guard, Protocol};

/// One step. The number is that of the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Tick,
    /// Beats or does not, then reads the members, judges them, and convicts.
    Turn(usize, Option<Pace>, Pace),
    /// Claims the branch.
    Claim(usize, Pace),
    /// Gives back a branch that it owns and does not know of.
    GiveBack(usize),
    /// Looks at its trust and starts the action.
    Act(usize),
    /// The action has ended: commits.
    Finish(usize, Pace),
    /// The database does what was sent, and the answer arrives.
    Serve(usize, Sent),
    /// The database does what was sent; the answer is on its way.
    Reach(usize, Sent),
    /// The answers arrive.
    Hear(usize),
    /// The sender waits no longer; the request is still on its way.
    GiveUp(usize, Sent),
    /// The database gets what its sender has given up, or got it before and the answer was lost.
    ServeLate(Request),
    Freeze(usize),
    /// Looks at its trust, and is frozen before it starts the action.
    FreezeBeforeAct(usize),
    WakeUp(usize),
    Crash(usize),
    /// Starts anew, after a crash or after it stepped down.
    Start(usize),
    /// The standby receives nothing from now on.
    FallBehind,
    /// The standby takes over.
    FailOver,
}

/// How a request fares. Most are answered at once, because an order of events in which nothing is
/// lost, late or frozen meanwhile differs from another one in nothing that matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    Prompt,
    /// It stays on its way until something is done about it. This is a fault.
    Slow,
}

/// What is on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    Beat,
    Work,
    Verdict,
}

impl Model for Protocol {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State::new(self)]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        if self.may_tick(state) {
            actions.push(Action::Tick);
        }
        for (engine, it) in state.engines.iter().enumerate() {
            if it.is_up() {
                duties(state, engine, it, actions);
            }
            if self.keeps(Guard::StraysGivenBack) && state.strays(it) {
                actions.push(Action::GiveBack(engine));
            }
            deliveries(engine, it, actions);
            faults(state, engine, it, actions);
        }
        for (index, request) in state.late.iter().enumerate() {
            if index == 0 || state.late[index - 1] != *request {
                actions.push(Action::ServeLate(*request));
            }
        }
        match state.standby {
            None if state.left.fail_over() => actions.push(Action::FallBehind),
            Some(_) => actions.push(Action::FailOver),
            None => {}
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        match action {
            Action::Tick => self.tick(&mut state),
            Action::Turn(engine, beat, conviction) => {
                self.turn(&mut state, engine, beat, conviction)?;
            }
            Action::Claim(engine, pace) => {
                state.engines[engine].work = Work::Claiming(Call::Sent(()));
                self.pace(&mut state, engine, Sent::Work, pace);
            }
            Action::GiveBack(engine) => {
                let who = state.engines[engine].who;
                state.database.release(who);
            }
            Action::Act(engine) => {
                let frozen = state.engines[engine].work.phase() == Some(Phase::Checked);
                let began = true;
                enter(&mut state, engine, Phase::Acting { frozen, began });
            }
            Action::Finish(engine, pace) => {
                let (call, again) = (Call::Sent(()), false);
                enter(&mut state, engine, Phase::Committing { call, again });
                self.pace(&mut state, engine, Sent::Work, pace);
            }
            Action::Serve(engine, sent) => self.serve(&mut state, engine, sent),
            Action::Reach(engine, sent) => self.reach(&mut state, engine, sent),
            Action::Hear(engine) => state.hear(engine, self),
            Action::GiveUp(engine, sent) => {
                let request = give_up(&mut state.engines[engine], sent)?;
                state.abandon([request]);
            }
            Action::ServeLate(request) => {
                let index = state.late.iter().position(|late| *late == request)?;
                state.late.remove(index);
                state.apply(request, self);
            }
            Action::Freeze(engine) => {
                state.left.freezes -= 1;
                state.left.faults -= 1;
                state.freeze(engine);
            }
            Action::FreezeBeforeAct(engine) => {
                state.left.freezes -= 1;
                state.left.faults -= 1;
                enter(&mut state, engine, Phase::Checked);
                state.freeze(engine);
            }
            Action::WakeUp(engine) => {
                state.engines[engine].mode = Mode::Up;
                // Whether its watchdog or its worker is quicker is open, unless an answer tells.
                if state.engines[engine].is_answered() {
                    state.hear(engine, self);
                }
            }
            Action::Crash(engine) => {
                state.left.crashes -= 1;
                state.left.faults -= 1;
                state.crash(engine, self);
            }
            Action::Start(engine) => state.start(engine, self),
            Action::FallBehind => {
                state.left.failovers -= 1;
                state.left.faults -= 1;
                state.standby = Some(state.database.clone());
            }
            Action::FailOver => state.fail_over(self),
        }
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        crate::properties::all()
    }
}

/// What an engine that runs may do of itself.
fn duties(state: &State, engine: usize, it: &Engine, actions: &mut Vec<Action>) {
    let slow = state.left.lose().then_some(Pace::Slow);
    let paces = [Some(Pace::Prompt), slow];
    if it.has_turn(state.now) {
        let beats = paces.into_iter().flatten().map(Some).chain([None]);
        for beat in beats.filter(|beat| it.beat == Call::None || beat.is_none()) {
            actions.push(Action::Turn(engine, beat, Pace::Prompt));
            if slow.is_some() {
                actions.push(Action::Turn(engine, beat, Pace::Slow));
            }
        }
    }
    let mut paced = |action: fn(usize, Pace) -> Action| {
        let paces = paces.into_iter().flatten();
        actions.extend(paces.map(|pace| action(engine, pace)));
    };
    let full = it.trust(state.now) == Trust::Full;
    match (it.work, it.work.phase()) {
        (Work::None, _) if full && state.database.ready() => paced(Action::Claim),
        (_, Some(Phase::Idle)) if full => {
            actions.push(Action::Act(engine));
            if state.left.freeze() {
                actions.push(Action::FreezeBeforeAct(engine));
            }
        }
        (_, Some(Phase::Checked)) => actions.push(Action::Act(engine)),
        (_, Some(Phase::Acting { began: false, .. })) => paced(Action::Finish),
        _ => {}
    }
}

fn deliveries(engine: usize, it: &Engine, actions: &mut Vec<Action>) {
    let sent = [
        (Sent::Beat, matches!(it.beat, Call::Sent(_))),
        (Sent::Work, it.work.is_sent()),
        (Sent::Verdict, it.verdict.is_some()),
    ];
    for (sent, _) in sent.into_iter().filter(|(_, is_sent)| *is_sent) {
        actions.push(Action::Serve(engine, sent));
        if it.is_up() {
            actions.push(Action::GiveUp(engine, sent));
            if sent != Sent::Verdict {
                actions.push(Action::Reach(engine, sent));
            }
        }
    }
    if it.is_up() && it.is_answered() {
        actions.push(Action::Hear(engine));
    }
}

fn faults(state: &State, engine: usize, it: &Engine, actions: &mut Vec<Action>) {
    if it.is_up() && state.left.freeze() {
        actions.push(Action::Freeze(engine));
    }
    if it.is_up() && state.left.crash() {
        actions.push(Action::Crash(engine));
    }
    if it.mode == Mode::Frozen {
        actions.push(Action::WakeUp(engine));
    }
    if state.may_start(engine) {
        actions.push(Action::Start(engine));
    }
}

fn enter(state: &mut State, engine: usize, next: Phase) {
    if let Work::Holding { phase, .. } = &mut state.engines[engine].work {
        *phase = next;
    }
}

/// The sender goes on without an answer: a commit is sent again, everything else is dropped.
fn give_up(it: &mut Engine, sent: Sent) -> Option<Request> {
    match sent {
        Sent::Beat => {
            it.beat = Call::None;
            Some(Request::Beat(it.who))
        }
        Sent::Verdict => it.verdict.take().map(Request::Convict),
        Sent::Work => match &mut it.work {
            Work::Holding {
                fence,
                phase: Phase::Committing { again, .. },
            } => (!std::mem::replace(again, true)).then_some(Request::Commit(*fence)),
            _ => it.let_go(),
        },
    }
}

impl Protocol {
    /// Everybody who runs has its turn in every tick: not to have it is to be frozen. In a prompt
    /// world everybody then has beaten, and nothing is on its way.
    fn may_tick(&self, state: &State) -> bool {
        let prompt = self.world.prompt;
        let under_way = |it: &Engine| {
            let strays = self.keeps(Guard::StraysGivenBack) && state.strays(it);
            let waits = it.beat != Call::None || it.verdict.is_some() || it.work.is_sent();
            strays || it.is_up() && (waits || it.is_answered())
        };
        state.now < self.horizon
            && !state.engines.iter().any(|it| it.has_turn(state.now))
            && !(prompt && (state.engines.iter().any(under_way) || !state.late.is_empty()))
    }

    fn tick(&self, state: &mut State) {
        for it in &mut state.engines {
            it.had_turn = false;
            it.work.go_on();
        }
        state.now += 1;
        for engine in 0..state.engines.len() {
            state.watch_over(engine);
        }
        if self.world.prompt {
            let stranded = state.engines.iter().any(|it| state.strays(it));
            state.facts.stranded = if stranded {
                state.facts.stranded + 1
            } else {
                0
            };
        }
    }

    /// `None` if there is nobody to convict slowly, or a prompt world would not see it beat.
    fn turn(
        &self,
        state: &mut State,
        engine: usize,
        beat: Option<Pace>,
        conviction: Pace,
    ) -> Option<()> {
        state.engines[engine].had_turn = true;
        match beat {
            Some(pace) => {
                state.engines[engine].beat = Call::Sent(state.now);
                self.pace(state, engine, Sent::Beat, pace);
            }
            None if self.world.prompt => return None,
            None => {}
        }
        let it = &mut state.engines[engine];
        let waits = it.verdict.is_some();
        if it.trust(state.now) != Trust::Full {
            // As in `Failover::pass`.
            it.observer.reset();
        } else if !waits {
            state.poll(engine, self);
        }
        let convicts = !waits && state.engines[engine].verdict.is_some();
        match (convicts, conviction) {
            (true, Pace::Slow) if !state.left.lose() => return None,
            (true, pace) => self.pace(state, engine, Sent::Verdict, pace),
            (false, Pace::Prompt) => {}
            (false, Pace::Slow) => return None,
        }
        Some(())
    }

    fn pace(&self, state: &mut State, engine: usize, sent: Sent, pace: Pace) {
        match pace {
            Pace::Prompt => self.serve(state, engine, sent),
            Pace::Slow => {
                state.left.losses -= 1;
                state.left.faults -= 1;
            }
        }
    }

    fn serve(&self, state: &mut State, engine: usize, sent: Sent) {
        self.reach(state, engine, sent);
        state.hear(engine, self);
    }

    fn reach(&self, state: &mut State, engine: usize, sent: Sent) {
        match sent {
            Sent::Beat => state.serve_beat(engine, self),
            Sent::Work => state.serve_work(engine, self),
            Sent::Verdict => state.serve_verdict(engine, self),
        }
    }
}

impl Work {
    fn go_on(&mut self) {
        if let Self::Holding {
            phase: Phase::Acting { began, .. },
            ..
        } = self
        {
            *began = false;
        }
    }

    fn phase(&self) -> Option<Phase> {
        match self {
            Self::Holding { phase, .. } => Some(*phase),
            Self::None | Self::Claiming(_) => None,
        }
    }

    fn is_sent(&self) -> bool {
        matches!(
            self,
            Self::Claiming(Call::Sent(()))
                | Self::Holding {
                    phase: Phase::Committing {
                        call: Call::Sent(()),
                        ..
                    },
                    ..
                }
        )
    }
}
