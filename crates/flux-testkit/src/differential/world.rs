//! A store with what its callers remember; applies operations, renders answers as text.

use std::fmt::Debug;
use std::time::Duration;

use flux_core::branch::BranchState;
use flux_core::ids::RunId;
use flux_core::ports::Error;
use flux_core::ports::branches::{
    ClaimRequest, Claimed, Claims, Commit, Committed, Release, ReleaseTo,
};
use flux_core::ports::definitions::{Firing, NewDefinition, NewSchedule};
use flux_core::ports::runs::{NewRun, RunFilter, Taker};
use flux_core::throttle::{Limits, Scope, Throttle, urgency};

use super::make::{POOL, numbered};
use super::op::{Op, Start, Until};
use crate::store_suite::Ports;
use crate::store_suite::fixture::{at, definition, incarnation, member, name};

const POISON_LIMIT: u32 = 2;

pub(super) struct World {
    ports: Ports,
    /// The incarnation that an engine has now.
    pub(super) engines: [u32; 3],
    /// Everything that was ever claimed, with its last known fence.
    pub(super) claims: Vec<Claimed>,
    pub(super) runs: Vec<RunId>,
    last_commit: Option<Commit>,
    /// Identifiers for this step: the same in every world.
    pub(super) next_id: u32,
    pub(super) now: i64,
}

impl World {
    pub(super) fn new(ports: Ports) -> World {
        World {
            ports,
            engines: [1, 2, 3],
            claims: Vec::new(),
            runs: Vec::new(),
            last_commit: None,
            next_id: 0,
            now: 0,
        }
    }

    /// What makes most random sequences meaningful.
    pub(super) async fn begin(&mut self) {
        self.ports.deploy().await;
        self.ports.engine(1).await;
        self.ports.engine(2).await;
    }

    pub(super) async fn apply(&mut self, step: usize, op: &Op) -> String {
        let step = u32::try_from(step).expect("a sequence is short");
        self.next_id = 100 + step * 100;
        self.now = i64::from(step) * 2;
        match op {
            Op::Submit { runs, taker } => {
                let runs = self.starts(runs);
                self.submit(runs, *taker).await
            }
            Op::Claim {
                engine,
                limit,
                pool,
            } => self.claim(*engine, *limit, *pool).await,
            Op::Commit(change) => match self.change(change) {
                None => "nothing to commit".to_owned(),
                Some((index, commit)) => self.commit(index, commit).await,
            },
            Op::CommitAgain => match self.last_commit.clone() {
                None => "nothing to commit".to_owned(),
                Some(commit) => shown(self.ports.store.commit(commit).await.map(sorted)),
            },
            Op::Release { claim, wait } => self.release(*claim, wait.as_ref()).await,
            Op::Signal { run, event } => {
                let Some(run) = pick(&self.runs, *run) else {
                    return "no run".to_owned();
                };
                let event = numbered(*event);
                shown(self.ports.store.signal(*run, event, at(self.now)).await)
            }
            Op::Deploy {
                version,
                due,
                after,
            } => self.deploy(*version, *due, *after).await,
            Op::Fire {
                on_time,
                next,
                runs,
            } => self.fire(*on_time, *next, runs).await,
            Op::Throttle { namespace, closed } => self.throttle(*namespace, *closed).await,
            of_members => self.of_members(of_members).await,
        }
    }

    async fn submit(&mut self, runs: Vec<NewRun>, taker: Option<(u8, u8, bool)>) -> String {
        let taker = taker.map(|(engine, limit, pool)| Taker {
            owner: self.engine(engine),
            limit: u32::from(limit),
            pool: pool.then(|| POOL.to_owned()),
        });
        let owner = taker.as_ref().map(|taker| taker.owner);
        let submitted = self.ports.store.submit_and_take(runs.clone(), taker).await;
        for (run, submitted) in runs.into_iter().zip(submitted.iter().flatten()) {
            if let Some(owner) = owner.filter(|_| submitted.taken) {
                self.claims.push(Claimed::at_submission(run, owner));
            }
        }
        shown(submitted)
    }

    async fn claim(&mut self, engine: u8, limit: u8, pool: bool) -> String {
        let limit = self.limit_without_ties(usize::from(limit), pool).await;
        let request = ClaimRequest {
            owner: self.engine(engine),
            limit: u32::try_from(limit).expect("there are few branches"),
            pool: pool.then(|| POOL.to_owned()),
            now: at(self.now),
            // Which of several equally urgent ones is taken alone is for the store to choose.
            alone_from: u32::MAX,
            count: 0,
        };
        let mut claims = match self.ports.store.claim(request).await {
            Ok(claims) => claims,
            Err(error) => return shown::<()>(Err(error)),
        };
        // Those of the same urgency come in any order.
        claims.branches.sort_by_key(|claimed| claimed.branch);
        let answer = shown_claims(&claims);
        self.claims.extend(claims.branches);
        answer
    }

    /// At least `limit`, such that it is clear which branches are claimed: a store may choose among
    /// the equally urgent.
    async fn limit_without_ties(&self, limit: usize, pool: bool) -> usize {
        let filter = RunFilter {
            limit: u32::MAX,
            ..RunFilter::default()
        };
        let runs = self.ports.store.list(filter).await.expect("list");
        let mut due = Vec::new();
        for run in runs.iter().filter(|run| run.pool.is_some() == pool) {
            for branch in self.ports.store.branches(run.id).await.expect("branches") {
                let taken = match branch.state {
                    BranchState::Ready => branch.due_at,
                    BranchState::Waiting => branch.due_at.filter(|due| *due <= at(self.now)),
                    _ => None,
                };
                due.extend(taken.map(|due_at| urgency(run.priority, due_at)));
            }
        }
        due.sort_unstable();
        let mut limit = limit;
        while limit > 0 && limit < due.len() && due[limit - 1] == due[limit] {
            limit += 1;
        }
        limit
    }

    async fn throttle(&self, namespace: bool, closed: bool) -> String {
        let name = (!namespace).then(|| "wf".to_owned());
        let throttle = Throttle {
            scope: Scope {
                namespace: "ns".to_owned(),
                name,
            },
            limits: Limits {
                cluster: closed.then_some(0),
                engine: None,
            },
        };
        shown(self.ports.store.throttle(throttle).await)
    }

    async fn commit(&mut self, index: usize, commit: Commit) -> String {
        self.last_commit = Some(commit.clone());
        let answer = self.ports.store.commit(commit).await.map(sorted);
        if let Ok(Committed::Yes { commit_no, .. }) = answer {
            self.claims[index].fence.commit_no = commit_no;
        }
        shown(answer)
    }

    async fn release(&mut self, claim: u8, wait: Option<&Until>) -> String {
        let Some(index) = self.recent(claim) else {
            return "nothing to release".to_owned();
        };
        let claimed = &self.claims[index];
        let to = wait.map_or(ReleaseTo::Ready, |until| {
            ReleaseTo::Wait(self.wait(claimed, until))
        });
        let release = Release {
            branch: claimed.branch,
            fence: claimed.fence,
            now: at(self.now),
            to,
        };
        shown(self.ports.store.release(release).await)
    }

    async fn deploy(&mut self, version: u8, due: Option<u8>, after: bool) -> String {
        let version = version.to_string();
        let schedule = due.map(|due| NewSchedule {
            due_at: at(self.now + i64::from(due)),
            after: after.then_some(Duration::from_secs(3)),
        });
        let new = NewDefinition {
            schedule,
            at: at(self.now),
            ..definition("wf", &version, &format!("source of {version}"))
        };
        shown(self.ports.store.deploy(new).await)
    }

    async fn fire(&mut self, on_time: bool, next: bool, runs: &[Start]) -> String {
        let runs = self.starts(runs);
        let schedules = self.ports.store.schedules().await.expect("schedules");
        let due = schedules.first().and_then(|schedule| schedule.due_at);
        let firing = Firing {
            name: name("wf", "1"),
            due_at: due.filter(|_| on_time).unwrap_or(at(-1)),
            next: next.then(|| at(self.now + 5)),
            runs,
        };
        shown(self.ports.store.fire(firing).await)
    }

    async fn of_members(&mut self, op: &Op) -> String {
        let now = at(self.now);
        match op {
            Op::Join {
                engine,
                limit,
                again,
            } => {
                if !again {
                    self.engines[usize::from(*engine)] = self.id();
                }
                let new = member(self.engines[usize::from(*engine)]);
                let members = self.ports.members();
                shown(members.join(new, u32::from(*limit), now).await)
            }
            Op::Heartbeat(engine) => {
                let me = self.engine(*engine);
                shown(self.ports.members.heartbeat(me, now).await)
            }
            Op::Convict { engine, stale } => self.convict(*engine, *stale).await,
            Op::TakeOver { engine, limit } => self.take_over(*engine, u32::from(*limit)).await,
            Op::Drain(engine) => {
                let me = self.engine(*engine);
                shown(self.ports.members.set_draining(me).await)
            }
            Op::Leave(engine) => shown(self.ports.members.leave(self.engine(*engine)).await),
            other => panic!("{other:?} is applied elsewhere"),
        }
    }

    async fn convict(&self, engine: u8, stale: bool) -> String {
        let who = self.engine(engine);
        let members = self.ports.members.members().await.expect("members");
        let seen = members.iter().find(|m| m.incarnation == who);
        let seen = seen.map_or(0, |member| member.heartbeat_seq) + u64::from(stale);
        let by = incarnation(0);
        let now = at(self.now);
        shown(
            self.ports
                .members
                .convict(who, seen, by, "silent", now)
                .await,
        )
    }

    /// All batches: which branches come in which one is up to the store.
    async fn take_over(&self, engine: u8, limit: u32) -> String {
        let (dead, by) = (self.engine(engine), incarnation(0));
        let members = &self.ports.members;
        let mut freed = Vec::new();
        loop {
            let batch = members.take_over(dead, by, limit, POISON_LIMIT, at(self.now));
            let batch = batch.await.expect("take over");
            assert!(batch.len() <= limit as usize, "{batch:?}");
            if batch.is_empty() {
                break;
            }
            freed.extend(batch);
        }
        freed.sort_by_key(|takeover| takeover.branch);
        format!("{freed:?}")
    }

    /// Everything that can be seen from outside.
    pub(super) async fn view(&self) -> String {
        let store = &self.ports.store;
        let mut text = String::new();
        let filter = RunFilter {
            limit: u32::MAX,
            ..RunFilter::default()
        };
        let mut add = |part: String| text.push_str(&format!("{part}\n"));
        for run in store.list(filter).await.expect("list") {
            add(format!("{run:?}"));
            for branch in store.branches(run.id).await.expect("branches") {
                add(format!("  {branch:?}"));
            }
            for row in store.history(run.id).await.expect("history") {
                add(format!("  {row:?}"));
            }
        }
        // Clocks of databases differ.
        add(format!("{:?}", self.ports.timeless_members().await));
        for failover in store.failovers(100).await.expect("failovers") {
            add(format!("{failover:?}"));
            add(shown(store.takeovers(failover.from, 100).await));
        }
        add(shown(store.definitions().await));
        add(shown(store.schedules().await));
        text
    }
}

fn pick<T>(all: &[T], number: u8) -> Option<&T> {
    all.get(usize::from(number).checked_rem(all.len())?)
}

fn shown<T: Debug>(answer: Result<T, Error>) -> String {
    match answer {
        Ok(answer) => format!("{answer:?}"),
        // Each store has words of its own.
        Err(Error::Internal(_)) => "internal error".to_owned(),
        Err(error) => panic!("{error}"),
    }
}

fn sorted(mut committed: Committed) -> Committed {
    if let Committed::Yes { cancelled, .. } = &mut committed {
        cancelled.sort();
    }
    committed
}

/// Without the numbers of signals, which a store chooses.
fn shown_claims(claims: &Claims) -> String {
    let mut text = String::new();
    for claimed in &claims.branches {
        let signals = claimed.signals.iter().map(|s| (&s.kind, &s.json));
        let signals: Vec<_> = signals.collect();
        let plain = Claimed {
            signals: Vec::new(),
            ..claimed.clone()
        };
        text.push_str(&format!("{plain:?} with {signals:?}\n"));
    }
    text
}
