//! The store as one engine, or the client, reaches it: late, not at all, or without an answer.

use crate::host::Clocks;
use crate::sim::{Fails, Sabotage, Sim, unavailable};
use crate::world::WORLD;
use async_trait::async_trait;
use flux_core::chart::{ChartId, WorkflowName};
use flux_core::clock::Timestamp;
use flux_core::ids::{BranchId, Incarnation, RunId};
use flux_core::ports::Error;
use flux_core::ports::branches::{
    Branches, ClaimRequest, Claimed, Claims, Commit, Committed, Fence, Outlook, Release,
};
use flux_core::ports::definitions::{
    DefinitionRecord, Definitions, Firing, NewDefinition, ScheduleRecord,
};
use flux_core::ports::members::{Joined, Member, MemberState, Members, NewMember, Takeover};
use flux_core::ports::runs::{
    BranchRecord, Event, FailoverRecord, HistoryRecord, NewRun, RunFilter, RunRecord, Runs,
    Signalled, Submitted, TakeoverRecord, Taker,
};
use flux_testkit::MemoryStore;
use futures_util::FutureExt;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;

/// A way to the store.
#[derive(Clone)]
pub struct Link {
    pub sim: Arc<Sim>,
    /// Which engine; `None` is the client.
    pub engine: Option<usize>,
    pub process: u32,
    pub clocks: Arc<Clocks>,
    pub name: Arc<str>,
}

/// What the store does at once when a call reaches it.
fn done<T>(call: impl Future<Output = T>) -> T {
    call.now_or_never()
        .expect("the store in memory never waits")
}

impl Link {
    /// Asks for something that changes nothing: what its caller does not hear, nobody does.
    async fn look<T: std::fmt::Debug>(
        &self,
        what: &'static str,
        op: impl FnOnce(&MemoryStore) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let sim = &self.sim;
        let fate = sim.fate();
        sim.sleep(fate.answer).await;
        let outage = sim.plan.outage(sim.now(), self.engine);
        if fate.fails.is_some() || outage.is_some() {
            self.hang(outage).await;
            self.tell(|_| format!("{what}: no answer"));
            return unavailable("no answer");
        }
        op(&sim.store)
    }

    /// Sends a call on its way. Once sent it goes on without its caller.
    async fn call<T: Send + std::fmt::Debug + 'static>(
        &self,
        what: &'static str,
        op: impl FnOnce(&Link) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let (answer, answered) = oneshot::channel();
        let link = self.clone();
        let travel = async move {
            let result = link.travel(what, op).await;
            if let Some(Err(error)) = &result {
                link.tell(|_| format!("{what}: {error}"));
            }
            if let Some(result) = result {
                let _gone = answer.send(result);
            }
        };
        self.sim.world.spawn(WORLD, Box::pin(travel));
        answered
            .await
            .unwrap_or_else(|_| unavailable("its answer was lost"))
    }

    /// `None`: the caller has been told before.
    async fn travel<T: Send + std::fmt::Debug + 'static>(
        &self,
        what: &'static str,
        op: impl FnOnce(&Link) -> Result<T, Error> + Send + 'static,
    ) -> Option<Result<T, Error>> {
        let sim = &self.sim;
        let fate = sim.fate();
        if fate.fails == Some(Fails::Late) {
            let link = self.clone();
            let later = async move {
                link.sim.sleep(fate.request).await;
                let result = op(&link);
                link.tell(|_| format!("{what} was done late: {}", brief(&result)));
            };
            sim.world.spawn(WORLD, Box::pin(later));
            sim.sleep(fate.answer).await;
            return Some(unavailable("it takes too long"));
        }
        sim.sleep(fate.request).await;
        let outage = sim.plan.outage(sim.now(), self.engine);
        if fate.fails == Some(Fails::Before) || matches!(outage, Some((_, false))) {
            self.hang(outage).await;
            return Some(unavailable("it did not arrive"));
        }
        let result = op(self);
        self.tell(|_| format!("{what}: {}", brief(&result)));
        sim.sleep(fate.answer).await;
        let outage = outage.or_else(|| sim.plan.outage(sim.now(), self.engine));
        if fate.fails == Some(Fails::After) || outage.is_some() {
            self.hang(outage).await;
            return Some(unavailable("it was done, and the answer was lost"));
        }
        Some(result)
    }

    /// In an outage some callers are told at once, some only when it is over.
    async fn hang(&self, outage: Option<(Duration, bool)>) {
        let (waits, quick) = {
            let mut rng = self.sim.rng();
            (rng.permille(400), rng.up_to(Duration::from_millis(100)))
        };
        let left = outage.map(|(until, _)| until.saturating_sub(self.sim.now()));
        self.sim
            .sleep(left.filter(|_| waits).unwrap_or(quick))
            .await;
    }

    fn tell(&self, what: impl FnOnce(&crate::witness::Witness) -> String) {
        self.sim.tell(&self.name, what);
    }

    /// The row's own fence in place of the writer's: a store that does not look.
    fn forge(&self, commit: &mut Commit) {
        let rows = done(self.sim.store.branches(commit.run)).unwrap_or_default();
        if let Some(row) = rows.iter().find(|row| row.id == commit.branch)
            && let Some(owner) = row.owner
        {
            commit.fence = Fence {
                owner,
                epoch: row.epoch,
                commit_no: row.commit_no,
            };
        }
    }

    fn commit_now(&self, commit: Commit) -> Result<Committed, Error> {
        let sabotage = self.sim.sabotage;
        let mut sent = commit.clone();
        if sabotage == Sabotage::IgnoresEpoch {
            self.forge(&mut sent);
        }
        if sabotage == Sabotage::ForgetsCommits && self.sim.rng().permille(20) {
            let commit_no = commit.fence.commit_no.next();
            let answer = Committed::Yes {
                commit_no,
                woke: true,
                cancelled: Vec::new(),
                paused: false,
            };
            self.sim.witness().committed(&commit, &answer);
            return Ok(answer);
        }
        let answer = done(self.sim.store.commit(sent))?;
        self.sim.witness().committed(&commit, &answer);
        self.tell(|w| {
            let (branch, fence) = (w.names.branch(commit.branch), commit.fence);
            format!(
                "  {branch} epoch {} commit {} at {}",
                fence.epoch,
                fence.commit_no.next(),
                commit.node
            )
        });
        Ok(answer)
    }

    fn claim_now(&self, request: ClaimRequest) -> Result<Claims, Error> {
        let owner = request.owner;
        let claims = done(self.sim.store.claim(request))?;
        self.took(owner, &claims);
        Ok(claims)
    }

    fn submit_now(&self, runs: Vec<NewRun>, taker: Option<Taker>) -> Result<Vec<Submitted>, Error> {
        let owner = taker.as_ref().map(|taker| taker.owner);
        let answer = done(self.sim.store.submit_and_take(runs.clone(), taker))?;
        runs.iter()
            .for_each(|run| self.sim.witness().submitted(run));
        if let Some(owner) = owner {
            let taken = runs.into_iter().zip(&answer).filter(|(_, s)| s.taken);
            let branches = taken.map(|(run, _)| Claimed::at_submission(run, owner));
            let branches: Vec<_> = branches.collect();
            if !branches.is_empty() {
                self.sim.witness().count("runs taken at once");
            }
            self.took(
                owner,
                &Claims {
                    branches,
                    ..Claims::default()
                },
            );
        }
        Ok(answer)
    }

    fn took(&self, owner: Incarnation, claims: &Claims) {
        self.sim.witness().claimed(owner, claims);
        for claimed in &claims.branches {
            self.tell(|w| {
                let (branch, fence) = (w.names.branch(claimed.branch), claimed.fence);
                format!(
                    "  takes {branch} epoch {} commit {}",
                    fence.epoch, fence.commit_no
                )
            });
        }
    }
}

/// Enough of an answer to follow a life.
fn brief<T: std::fmt::Debug>(result: &Result<T, Error>) -> String {
    let text = match result {
        Ok(answer) => format!("{answer:?}"),
        Err(error) => error.to_string(),
    };
    if text.starts_with("Claims") {
        // The lines before it have told what is in it.
        return format!("{} branches", text.matches("Claimed {").count());
    }
    let head: String = text.chars().take(70).collect();
    if head.len() < text.len() {
        format!("{head}...")
    } else {
        head
    }
}

#[async_trait]
impl Branches for Link {
    async fn outlook(&self, pool: Option<String>, now: Timestamp) -> Result<Outlook, Error> {
        self.look("outlook", |store| done(store.outlook(pool.clone(), now)))
            .await
    }

    async fn claim(&self, request: ClaimRequest) -> Result<Claims, Error> {
        let call = self.call("claim", move |link| link.claim_now(request));
        call.await
    }

    async fn commit(&self, commit: Commit) -> Result<Committed, Error> {
        self.sim.witness().sends_commit(commit.fence.owner);
        self.call("commit", move |link| link.commit_now(commit))
            .await
    }

    async fn release(&self, release: Release) -> Result<bool, Error> {
        let call = self.call("release", move |link| {
            let answer = done(link.sim.store.release(release.clone()))?;
            link.sim.witness().released(&release, answer);
            link.tell(|w| format!("  {} is given back", w.names.branch(release.branch)));
            Ok(answer)
        });
        call.await
    }

    async fn owned(&self, owner: Incarnation) -> Result<Vec<(BranchId, Fence)>, Error> {
        self.look("owned", |store| done(store.owned(owner))).await
    }
}

#[async_trait]
impl Members for Link {
    async fn join(&self, m: NewMember, limit: u32, now: Timestamp) -> Result<Joined, Error> {
        let call = self.call("join", move |link| {
            let answer = done(link.sim.store.join(m.clone(), limit, now))?;
            let all = done(link.sim.store.members())?;
            let mut witness = link.sim.witness();
            if answer == Joined::Yes {
                witness.joined(&m, link.process, Arc::clone(&link.clocks));
                let living = all.iter().filter(|m| m.state != MemberState::Dead).count();
                witness.living(living, limit);
            }
            drop(witness);
            link.tell(|w| format!("  as {}", w.names.incarnation(m.incarnation)));
            Ok(answer)
        });
        call.await
    }

    async fn heartbeat(&self, me: Incarnation, now: Timestamp) -> Result<bool, Error> {
        let sent = self.sim.world.now();
        let call = self.call("heartbeat", move |link| {
            let answer = done(link.sim.store.heartbeat(me, now))?;
            if answer {
                link.sim.witness().beat(me);
            }
            Ok(answer)
        });
        let answer = call.await;
        if answer == Ok(true) {
            self.sim.witness().proved(me, sent);
        }
        answer
    }

    async fn members(&self) -> Result<Vec<Member>, Error> {
        let mut members = self.look("members", |store| done(store.members())).await?;
        if self.sim.sabotage == Sabotage::ConvictsAtOnce {
            members
                .iter_mut()
                .for_each(|m| m.window = Duration::from_millis(1));
        }
        Ok(members)
    }

    async fn convict(
        &self,
        who: Incarnation,
        seen_seq: u64,
        by: Incarnation,
        evidence: &str,
        now: Timestamp,
    ) -> Result<bool, Error> {
        let evidence = evidence.to_owned();
        let call = self.call("convict", move |link| {
            let answer = done(link.sim.store.convict(who, seen_seq, by, &evidence, now))?;
            if answer {
                link.sim.witness().convicted(who, by);
            }
            link.tell(|w| format!("  {}: {evidence}", w.names.incarnation(who)));
            Ok(answer)
        });
        call.await
    }

    async fn take_over(
        &self,
        dead: Incarnation,
        by: Incarnation,
        limit: u32,
        poison_limit: u32,
        now: Timestamp,
    ) -> Result<Vec<Takeover>, Error> {
        let call = self.call("take_over", move |link| {
            let store = &link.sim.store;
            let freed = done(store.take_over(dead, by, limit, poison_limit, now))?;
            link.sim.witness().taken_over(dead, &freed);
            for takeover in &freed {
                link.tell(|w| format!("  frees {}", w.names.branch(takeover.branch)));
            }
            Ok(freed)
        });
        call.await
    }

    async fn set_draining(&self, me: Incarnation) -> Result<(), Error> {
        self.call("set_draining", move |link| {
            done(link.sim.store.set_draining(me))
        })
        .await
    }

    async fn leave(&self, me: Incarnation) -> Result<(), Error> {
        let call = self.call("leave", move |link| {
            done(link.sim.store.leave(me))?;
            let all = done(link.sim.store.members())?;
            let mut witness = link.sim.witness();
            match all.iter().find(|member| member.incarnation == me) {
                None => witness.left(me),
                Some(row) if link.sim.plan.is_sound() => {
                    let text = format!("a drained engine still owns {} branches", row.running);
                    witness.violated("L6", text);
                }
                // Some answer was lost, so it may own what it does not know of.
                Some(_) => witness.count("left with work"),
            }
            Ok(())
        });
        call.await
    }
}

#[async_trait]
impl Definitions for Link {
    async fn deploy(&self, definition: NewDefinition) -> Result<(), Error> {
        self.call("deploy", move |link| {
            done(link.sim.store.deploy(definition))
        })
        .await
    }

    async fn source(&self, chart: &ChartId) -> Result<Option<String>, Error> {
        self.look("source", |store| done(store.source(chart))).await
    }

    async fn find(&self, name: &WorkflowName) -> Result<Option<ChartId>, Error> {
        self.look("find", |store| done(store.find(name))).await
    }

    async fn definitions(&self) -> Result<Vec<DefinitionRecord>, Error> {
        self.look("definitions", |store| done(store.definitions()))
            .await
    }

    async fn schedules(&self) -> Result<Vec<ScheduleRecord>, Error> {
        self.look("schedules", |store| done(store.schedules()))
            .await
    }

    async fn fire(&self, firing: Firing) -> Result<bool, Error> {
        let call = self.call("fire", move |link| {
            let answer = done(link.sim.store.fire(firing.clone()))?;
            if answer {
                let mut witness = link.sim.witness();
                witness.fired(&firing.name.name, firing.due_at.as_micros());
                firing.runs.iter().for_each(|run| witness.submitted(run));
            }
            Ok(answer)
        });
        call.await
    }
}

#[async_trait]
impl Runs for Link {
    async fn submit_and_take(
        &self,
        runs: Vec<NewRun>,
        taker: Option<Taker>,
    ) -> Result<Vec<Submitted>, Error> {
        let call = self.call("submit", move |link| link.submit_now(runs, taker));
        call.await
    }

    async fn signal(&self, run: RunId, event: Event, now: Timestamp) -> Result<Signalled, Error> {
        self.call("signal", move |link| {
            done(link.sim.store.signal(run, event, now))
        })
        .await
    }

    async fn run(&self, id: RunId) -> Result<Option<RunRecord>, Error> {
        self.look("run", |store| done(store.run(id))).await
    }

    async fn list(&self, filter: RunFilter) -> Result<Vec<RunRecord>, Error> {
        self.look("list", |store| done(store.list(filter))).await
    }

    async fn branches(&self, run: RunId) -> Result<Vec<BranchRecord>, Error> {
        self.look("branches", |store| done(store.branches(run)))
            .await
    }

    async fn history(&self, run: RunId) -> Result<Vec<HistoryRecord>, Error> {
        self.look("history", |store| done(store.history(run))).await
    }

    async fn failovers(&self, limit: u32) -> Result<Vec<FailoverRecord>, Error> {
        self.look("failovers", |store| done(store.failovers(limit)))
            .await
    }

    async fn takeovers(&self, from: Incarnation, limit: u32) -> Result<Vec<TakeoverRecord>, Error> {
        self.look("takeovers", |store| done(store.takeovers(from, limit)))
            .await
    }
}
