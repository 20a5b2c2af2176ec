//! What one engine does, step by step: `flux-failover` and the worker of `flux-engine` in short.
//!
//! Whom to convict and what trust is left is asked of the real rules.

use flux_core::ownership::{Trust, Verdict as Judged};

use crate::database::{Committed, Fence, Who};
use crate::state::{Call, Engine, Mode, Phase, State, Verdict, Work};
use crate::variant::{Guard, LIVES, Protocol, TICK, WINDOW, boot};

impl State {
    /// One pass of `flux_failover::Failover` up to its first conviction, which it then sends.
    pub fn poll(&mut self, engine: usize, protocol: &Protocol) {
        let members = self.database.read(TICK * u32::from(WINDOW));
        let by_stamps = self.judge_by_stamps(engine, protocol);
        let me = &mut self.engines[engine];
        let verdicts = me.observer.observe(boot(self.now), &members);
        let watched = protocol.keeps(Guard::WatchedSilence);
        me.verdict = verdicts.iter().find_map(convicted).filter(|_| watched);
        me.verdict = me.verdict.or(by_stamps);
        for verdict in verdicts {
            if let Judged::TakeOver { who } = verdict {
                self.database.free(Who::of(who));
            }
        }
    }

    /// What an engine would do that believed the calendars of others.
    fn judge_by_stamps(&self, engine: usize, protocol: &Protocol) -> Option<Verdict> {
        let me = self.engines[engine].who;
        let calendar = protocol.calendar(me.engine, self.now);
        let rows = self.database.members.iter();
        rows.filter(|row| !protocol.keeps(Guard::WatchedSilence) && row.who != me && !row.dead)
            .find(|row| calendar >= row.stamp + WINDOW)
            .map(|row| Verdict {
                who: row.who,
                seen_seq: row.seq,
            })
    }

    /// The database applies the heartbeat that is on its way.
    pub fn serve_beat(&mut self, engine: usize, protocol: &Protocol) {
        let me = &self.engines[engine];
        if let Call::Sent(sent) = me.beat {
            let alive = self.beat(me.who, protocol);
            self.engines[engine].beat = Call::Answered(sent, alive);
        }
    }

    /// The database applies the claim or commit that is on its way.
    pub fn serve_work(&mut self, engine: usize, protocol: &Protocol) {
        let me = &self.engines[engine];
        let work = match me.work {
            Work::Claiming(Call::Sent(())) => {
                Work::Claiming(Call::Answered((), self.claim(me.who, protocol)))
            }
            Work::Holding {
                fence,
                phase:
                    Phase::Committing {
                        call: Call::Sent(()),
                        again,
                    },
            } => {
                let call = Call::Answered((), self.commit(fence, protocol));
                let phase = Phase::Committing { call, again };
                Work::Holding { fence, phase }
            }
            other => other,
        };
        self.engines[engine].work = work;
    }

    /// The database judges the conviction that is on its way; if it applies, its sender takes over.
    pub fn serve_verdict(&mut self, engine: usize, protocol: &Protocol) {
        let Some(verdict) = self.engines[engine].verdict.take() else {
            return;
        };
        let done = self.convict(verdict, protocol);
        let me = &self.engines[engine];
        if done && me.is_up() && me.trust(self.now) == Trust::Full {
            self.database.free(verdict.who);
        }
    }

    /// An engine that runs takes in its answers.
    pub fn hear(&mut self, engine: usize, protocol: &Protocol) {
        let me = &mut self.engines[engine];
        if !me.is_up() {
            return;
        }
        if let Call::Answered(sent, alive) = me.beat {
            me.beat = Call::None;
            let since = if protocol.keeps(Guard::TrustFromSending) {
                sent
            } else {
                self.now
            };
            if alive {
                me.trust.renew(boot(since), boot(self.now));
            } else {
                me.trust.fence();
            }
        }
        me.work = match me.work {
            Work::Claiming(Call::Answered((), claimed)) => claimed.map_or(Work::None, holding),
            Work::Holding {
                fence,
                phase:
                    Phase::Committing {
                        call: Call::Answered((), answer),
                        ..
                    },
            } => after(fence, answer),
            other => other,
        };
        self.watch_over(engine);
    }

    /// The watchdog: whoever lost its trust kills what it runs.
    pub fn watch_over(&mut self, engine: usize) {
        let me = &mut self.engines[engine];
        if me.is_up() && me.trust(self.now) == Trust::Lost {
            let requests = me.stop();
            self.abandon(requests);
        }
    }

    pub fn freeze(&mut self, engine: usize) {
        let me = &mut self.engines[engine];
        me.mode = Mode::Frozen;
        if let Work::Holding {
            phase: Phase::Acting { frozen, .. },
            ..
        } = &mut me.work
        {
            *frozen = true;
        }
    }

    pub fn crash(&mut self, engine: usize, protocol: &Protocol) {
        let me = &mut self.engines[engine];
        me.mode = Mode::Down;
        let requests = me.stop();
        if protocol.world.prompt {
            self.facts.crashed.push((me.who, self.now));
        }
        self.abandon(requests);
    }

    /// Whether the engine has ended one life and has another.
    pub fn may_start(&self, engine: usize) -> bool {
        let me = &self.engines[engine];
        let ended = match me.mode {
            Mode::Up => me.trust(self.now) == Trust::Lost,
            Mode::Down => true,
            Mode::Frozen => false,
        };
        ended && me.who.life + 1 < LIVES
    }

    /// A new incarnation. One that stepped down buries the old one, one that crashed cannot.
    pub fn start(&mut self, engine: usize, protocol: &Protocol) {
        self.watch_over(engine);
        let me = &self.engines[engine];
        let old = me.who;
        if me.is_up() {
            self.database.bury(old);
        }
        let who = Who {
            life: old.life + 1,
            ..old
        };
        self.join(who, protocol);
        self.engines[engine] = Engine::new(who, protocol);
    }

    /// A standby becomes the database; every connection breaks.
    pub fn fail_over(&mut self, protocol: &Protocol) {
        let Some(standby) = self.standby.take() else {
            return;
        };
        self.database = standby;
        for engine in 0..self.engines.len() {
            if protocol.keeps(Guard::ObserversReset) {
                self.engines[engine].observer.reset();
            }
            if protocol.keeps(Guard::OwnersRevalidate) {
                self.revalidate(engine);
            }
        }
    }

    /// Lets go what is not owned any more, goes on from where this database is, and forgets answers
    /// of the former one.
    fn revalidate(&mut self, engine: usize) {
        let owned = self
            .database
            .fence()
            .filter(|_| !self.database.branch.ended);
        let me = &mut self.engines[engine];
        if let Call::Answered(..) = me.beat {
            me.beat = Call::None;
        }
        let request = match (me.work, owned) {
            (Work::Holding { fence, phase }, Some(row)) if fence == row => {
                if let Phase::Committing { again, .. } = phase {
                    let call = Call::Sent(());
                    let phase = Phase::Committing { call, again };
                    me.work = Work::Holding { fence, phase };
                }
                None
            }
            (Work::Holding { fence, .. }, Some(row))
                if (fence.owner, fence.epoch) == (row.owner, row.epoch) =>
            {
                let request = me.let_go();
                me.work = holding(row);
                request
            }
            (Work::None | Work::Claiming(Call::Sent(())), _) => None,
            _ => me.let_go(),
        };
        self.abandon(request);
    }
}

fn convicted(verdict: &Judged) -> Option<Verdict> {
    match *verdict {
        Judged::Convict { who, seen_seq, .. } => Some(Verdict {
            who: Who::of(who),
            seen_seq: u8::try_from(seen_seq).expect("the horizon is short"),
        }),
        Judged::Suspect { .. } | Judged::TakeOver { .. } => None,
    }
}

fn holding(fence: Fence) -> Work {
    let phase = Phase::Idle;
    Work::Holding { fence, phase }
}

fn after(fence: Fence, answer: Committed) -> Work {
    let next = Fence {
        commit_no: fence.commit_no + 1,
        ..fence
    };
    match answer {
        Committed::Yes if next.commit_no < crate::variant::STEPS => holding(next),
        Committed::Yes | Committed::Fenced => Work::None,
    }
}
