//! One branch in the hands of this engine, from its claim to its next wait or end.
//!
//! The walk decides, this file does: performs actions, commits, gives back. It holds no state of
//! its own; whatever is not committed is forgotten when the branch is stopped.

use crate::action::{Failure, Request};
use crate::charts::Missing;
use crate::event::EngineEvent;
use crate::running::{Stop, StopReason};
use crate::shop::Shop;
use crate::submit::{RunOptions, run_with_ids};
use crate::trigger;
use crate::watch::Knowledge;
use flux_core::chart::{Fault, FaultKind, WorkflowName};
use flux_core::labels::is_private;
use flux_core::ownership::Trust;
use flux_core::ports::Error;
use flux_core::ports::branches::{
    Claimed, Commit, Committed, Fence, Release, ReleaseTo, Then, Wait,
};
use flux_core::ports::runs::{NewRun, Outcome};
use flux_core::value;
use flux_core::walk::{self, Child, Draft, Env, Event, Look, Memory, Step, Walk};
use flux_failover::{EVIDENCE, TrustHandle};
use futures_util::FutureExt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// A branch and its owner's right to it.
pub(crate) struct Worker {
    shop: Arc<Shop>,
    claimed: Claimed,
    fence: Fence,
    stop: Stop,
    trust: TrustHandle,
    knowledge: Arc<Knowledge>,
    /// An action ended since the last commit: a drain waits for the next commit point.
    unsaved: bool,
}

/// The branch is no longer in our hands.
struct Gone;

impl Worker {
    pub fn new(
        shop: Arc<Shop>,
        claimed: Claimed,
        stop: Stop,
        trust: TrustHandle,
        knowledge: Arc<Knowledge>,
    ) -> Worker {
        let fence = claimed.fence;
        Worker {
            shop,
            claimed,
            fence,
            stop,
            trust,
            knowledge,
            unsaved: false,
        }
    }

    /// Drives the branch until it waits, ends, is given back or is lost.
    pub async fn drive(mut self) {
        // Leaving early is the normal end: the branch is committed, released or somebody else's.
        let walked = AssertUnwindSafe(self.walk()).catch_unwind().await;
        let Err(panic) = walked else { return };
        // What was in memory is discarded; the run must not be owned for ever by nobody.
        tracing::error!(
            run.id = %self.claimed.run, branch.id = %self.claimed.branch,
            "a branch made this engine panic; it fails"
        );
        let text = panic.downcast_ref::<&str>().map(ToString::to_string);
        let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
        let text = text.unwrap_or_default();
        let Gone = self.give_up(format!("the engine panicked: {text}")).await;
    }

    async fn walk(&mut self) -> Result<std::convert::Infallible, Gone> {
        let mut walk = self.open().await?;
        let mut event = Event::Claimed {
            signals: std::mem::take(&mut self.claimed.signals),
            arrivals: std::mem::take(&mut self.claimed.arrivals),
        };
        loop {
            let step = walk.next(event, self.shop.host.now());
            event = match step {
                Step::Perform(perform) => self.perform(perform).await?,
                Step::Look(look) => self.look(look).await,
                Step::Prepare(child) => self.prepare(child).await?,
                Step::Commit(draft) => self.commit(*draft).await?,
                Step::Release(wait) => return Err(self.release(ReleaseTo::Wait(wait)).await),
            };
        }
    }

    /// The walk as of the commit point. A definition or memory that cannot be read faults the
    /// run: no engine of this version could do better.
    async fn open(&mut self) -> Result<Walk, Gone> {
        let chart = loop {
            match self.shop.charts.get(&self.claimed.chart).await {
                Ok(chart) => break chart,
                Err(Missing::Store(error)) => {
                    self.store_failed("load a definition", &error).await?
                }
                Err(error @ (Missing::Unknown(_) | Missing::Refused(..))) => {
                    return Err(self.give_up(error.to_string()).await);
                }
            }
        };
        let memory = match Memory::from_json(&self.claimed.memory) {
            Ok(memory) => memory,
            Err(error) => return Err(self.give_up(error).await),
        };
        let run_input = match value::parse(&self.claimed.run_input) {
            Ok(input) => input,
            Err(error) => return Err(self.give_up(format!("input of the run: {error}")).await),
        };
        let env = Env {
            run: self.claimed.run,
            branch: self.claimed.branch,
            run_input,
            run_started_at: self.claimed.run_started_at,
            version: self.shop.version,
            pool: self.claimed.pool.clone(),
        };
        Ok(Walk::new(chart, env, memory))
    }

    async fn give_up(&mut self, detail: String) -> Gone {
        let fault = Fault::new(FaultKind::Configuration, detail);
        let then = Then::End {
            outcome: Outcome::Faulted { fault },
            context: None,
            run: false,
        };
        let draft = Draft {
            memory: self.claimed.memory.clone(),
            node: "/".to_owned(),
            then,
            history: "[]".to_owned(),
            consumed: Vec::new(),
            published: Vec::new(),
            join_over: None,
            spawned: Vec::new(),
        };
        // Whether it was stored or fenced: the branch is gone from here.
        self.commit(draft).await.map_or_else(|gone| gone, |_| Gone)
    }

    async fn perform(&mut self, perform: walk::Perform) -> Result<Event, Gone> {
        match self.stop.wanted() {
            Some(StopReason::Lost) => return Err(Gone),
            Some(StopReason::Drain) if !self.unsaved => {
                return Err(self.release(ReleaseTo::Ready).await);
            }
            Some(StopReason::Drain) | None => {}
        }
        self.trusted().await?;
        let walk::Perform {
            kind,
            with,
            task,
            node,
            key,
            attempt,
            deadline,
        } = perform;
        let (run, branch) = (self.claimed.run, self.claimed.branch);
        self.tell(EngineEvent::ActionStarted {
            run,
            branch,
            task: task.clone(),
            node: node.clone(),
            attempt,
        });
        let began = self.shop.host.now();
        let request = Request {
            kind,
            with,
            run,
            branch,
            node: node.clone(),
            attempt,
            key,
            epoch: self.fence.epoch,
            deadline,
            traceparent: self.claimed.traceparent.clone(),
        };
        let left = deadline.map(|deadline| deadline.since(began));
        self.witness("action-started", &request.key);
        let ended = self.perform_until(request, left).await;
        self.witness("action-ended", &node);
        let event = ended?;
        let fault = match &event {
            Event::Failed(fault) => Some(fault.clone()),
            Event::TimedOut => Some(Fault::new(FaultKind::Timeout, "stopped at its deadline")),
            _ => None,
        };
        self.unsaved = true;
        let took = self.shop.host.now().since(began);
        self.tell(EngineEvent::ActionEnded {
            run,
            branch,
            task,
            node,
            fault,
            took,
        });
        Ok(event)
    }

    /// Waits until a new action may start. What was last published is not enough: an engine that
    /// was frozen may come here before its watchdog does, so the clock itself decides.
    async fn trusted(&mut self) -> Result<(), Gone> {
        loop {
            self.stop.trusted().await.map_err(|_| Gone)?;
            let mut changes = self.trust.subscribe();
            let trust = self.trust.state();
            match trust {
                Trust::Full if self.knowledge.is_current() => return Ok(()),
                Trust::StopActions | Trust::Lost => return Err(Gone),
                Trust::Full | Trust::NoNewActions => {}
            }
            let changed = async {
                if trust == Trust::Full {
                    return self.knowledge.renewed().await;
                }
                let _over = changes
                    .wait_for(|trust| *trust != Trust::NoNewActions)
                    .await;
            };
            tokio::select! {
                biased;
                () = changed => continue,
                () = self.stop.now() => {}
            }
            return Err(match self.stop.wanted() {
                Some(StopReason::Drain) => self.release(ReleaseTo::Ready).await,
                Some(StopReason::Lost) | None => Gone,
            });
        }
    }

    /// The action's result; stopped at its deadline, or when the branch must be let go.
    async fn perform_until(
        &mut self,
        request: Request,
        left: Option<Duration>,
    ) -> Result<Event, Gone> {
        let cancel = CancellationToken::new();
        let shop = Arc::clone(&self.shop);
        let action = shop.actions.perform(request, cancel.clone());
        tokio::pin!(action);
        let deadline = async {
            match left {
                Some(left) => shop.host.sleep(left.min(flux_core::duration::MAX)).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            result = &mut action => return match result {
                Ok(output) => Ok(Event::Done(output)),
                Err(Failure::Fault(fault)) => Ok(Event::Failed(fault)),
                // Back to the commit point; refused if others have taken it over already.
                Err(Failure::Expired) => Err(self.release(ReleaseTo::Ready).await),
            },
            () = deadline => {
                cancel.cancel();
                // Its result does not matter any more; that it is dead does.
                let _ended = action.await;
                return Ok(Event::TimedOut);
            }
            () = self.stop.now() => {}
        }
        cancel.cancel();
        let _ended = action.await;
        match self.stop.wanted() {
            Some(StopReason::Lost) | None => Err(Gone),
            Some(StopReason::Drain) => Err(self.release(ReleaseTo::Ready).await),
        }
    }

    async fn look(&mut self, look: Look) -> Event {
        let now = self.shop.host.now();
        // What the look before saw is not kept: the modification time says enough.
        match trigger::file::look(&look.pattern, look.stable, None, now).await {
            Ok(trigger::file::Look::Found(file)) => Event::Looked(Some(file)),
            Ok(trigger::file::Look::NotYet(_)) => Event::Looked(None),
            Err(fault) => Event::Failed(fault),
        }
    }

    async fn prepare(&mut self, child: Child) -> Result<Event, Gone> {
        let name = WorkflowName {
            namespace: child.namespace.clone(),
            name: child.name.clone(),
            version: child.version.clone(),
        };
        let chart = loop {
            match self.shop.charts.find(&name).await {
                Ok(chart) => break chart,
                Err(Missing::Store(error)) => {
                    self.store_failed("find a definition", &error).await?
                }
                Err(error @ (Missing::Unknown(_) | Missing::Refused(..))) => {
                    let fault = Fault::new(FaultKind::Configuration, error.to_string());
                    return Ok(Event::Failed(fault));
                }
            }
        };
        let options = RunOptions {
            request_id: None,
            // A child is an engine's work like any other, unless all of it is private.
            pool: self
                .claimed
                .pool
                .clone()
                .filter(|pool| is_private(Some(pool))),
            traceparent: self.claimed.traceparent.clone(),
            priority: None,
        };
        let now = self.shop.host.now();
        let ids = (child.run, child.branch);
        let run: NewRun = run_with_ids(&chart, &child.input, options, now, ids);
        Ok(Event::Prepared(Box::new(run)))
    }

    /// Commits; `Err(Gone)` when the branch then is not ours any more.
    async fn commit(&mut self, draft: Draft) -> Result<Event, Gone> {
        let commit = Commit {
            branch: self.claimed.branch,
            run: self.claimed.run,
            fence: self.fence,
            now: self.shop.host.now(),
            memory: draft.memory,
            node: draft.node,
            then: draft.then,
            history: draft.history,
            consumed: draft.consumed,
            published: draft.published,
            join_over: draft.join_over,
            spawned: draft.spawned,
        };
        let committed = loop {
            match self.shop.branches.commit(commit.clone()).await {
                Ok(committed) => break committed,
                // The same guarded commit again also tells what became of a lost answer.
                Err(error) => self.store_failed("commit", &error).await?,
            }
        };
        let (run, branch) = (self.claimed.run, self.claimed.branch);
        let Committed::Yes {
            commit_no,
            woke,
            cancelled,
            paused,
        } = committed
        else {
            tracing::warn!(
                run.id = %run, branch.id = %branch, epoch = %self.fence.epoch,
                "fenced: the branch has another owner; its uncommitted work is discarded"
            );
            self.witness("fenced", "refused");
            self.tell(EngineEvent::Fenced { run, branch });
            return Err(Gone);
        };
        self.fence.commit_no = commit_no;
        self.unsaved = false;
        if matches!(&commit.then, Then::Wait(wait) if wait.due_at.is_some()) {
            self.shop.look.notify_one();
        }
        let then = match &commit.then {
            Then::Run => "run",
            Then::Wait(_) => "wait",
            Then::End { .. } => "end",
        };
        self.witness("committed", then);
        self.shop.running.cancelled(&cancelled);
        if woke {
            self.shop.woke(1);
        }
        self.tell_committed(&commit);
        match commit.then {
            Then::Run if paused || self.stop.wanted().is_some() => {
                Err(self.release(ReleaseTo::Ready).await)
            }
            Then::Run => Ok(Event::Saved),
            Then::Wait(_) | Then::End { .. } => Err(Gone),
        }
    }

    fn tell_committed(&self, commit: &Commit) {
        if !self.shop.events.are_heard() {
            return;
        }
        let (run, branch) = (commit.run, commit.branch);
        self.tell(EngineEvent::Committed {
            run,
            branch,
            commit_no: self.fence.commit_no,
            node: commit.node.clone(),
            history: serde_json::from_str(&commit.history).unwrap_or_default(),
        });
        if let Then::End { outcome, .. } = &commit.then {
            let outcome = outcome.clone();
            self.tell(EngineEvent::BranchEnded {
                run,
                branch,
                outcome,
            });
        }
    }

    /// Tells [`EVIDENCE`] what became of the branch; `then`: of the event, what comes after it.
    fn witness(&self, event: &'static str, then: &str) {
        tracing::debug!(
            target: EVIDENCE, event, then, engine.id = %self.fence.owner,
            run.id = %self.claimed.run, branch.id = %self.claimed.branch,
            epoch = self.fence.epoch.get(), commit_no = self.fence.commit_no.get(),
            boot_ns = self.shop.host.boot().as_nanos(), "{event} {then}"
        );
    }

    async fn release(&mut self, to: ReleaseTo) -> Gone {
        let due_soon = matches!(
            &to,
            ReleaseTo::Wait(Wait {
                due_at: Some(_),
                ..
            })
        );
        let release = Release {
            branch: self.claimed.branch,
            fence: self.fence,
            now: self.shop.host.now(),
            to,
        };
        loop {
            match self.shop.branches.release(release.clone()).await {
                Ok(given_back) => {
                    let state = match (given_back, &release.to) {
                        (false, _) => "refused",
                        (true, ReleaseTo::Ready) => "ready",
                        (true, ReleaseTo::Wait(_)) => "wait",
                    };
                    self.witness("released", state);
                    break;
                }
                Err(error) => {
                    if self.store_failed("release a branch", &error).await.is_err() {
                        break;
                    }
                }
            }
        }
        if due_soon {
            self.shop.look.notify_one();
        }
        Gone
    }

    /// Waits a little before the store is asked again, as long as the branch is ours.
    async fn store_failed(&mut self, what: &str, error: &Error) -> Result<(), Gone> {
        tracing::warn!(
            run.id = %self.claimed.run, branch.id = %self.claimed.branch,
            "cannot {what}: {error}; trying again"
        );
        let pause = self.shop.host.sleep(Duration::from_millis(200));
        tokio::select! {
            biased;
            () = self.stop.lost() => Err(Gone),
            () = pause => Ok(()),
        }
    }

    fn tell(&self, event: EngineEvent) {
        self.shop.events.tell(event);
    }
}
