//! One engine: membership, claimer, workers and passes, from its start to its drain.

use crate::action::{Actions, Perform};
use crate::admission::{Admission, Shares};
use crate::charts::Charts;
use crate::claimer::Claimer;
use crate::config::{Config, Stores};
use crate::event::{EngineEvent, Events};
use crate::lookout::Lookout;
use crate::monitor::Monitor;
use crate::peers::{self, Own};
use crate::running::{Running, Standing};
use crate::schedules::Schedules;
use crate::shop::Shop;
use crate::watch::{Knowledge, Watch};
use flux_core::balance::Balancer;
use flux_core::chart::Compiler;
use flux_core::host::{Host, within};
use flux_core::ids::Incarnation;
use flux_core::labels::is_private;
use flux_core::ownership::{Timing, Trust};
use flux_core::ports::Error;
use flux_core::ports::runs::{NewRun, Submitted};
use flux_failover::{EVIDENCE, Membership, TrustHandle};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;
use tokio::sync::{Notify, RwLock, Semaphore, broadcast, oneshot, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// A load report counts for so long: three that did not come.
const STALENESS: Duration = Duration::from_secs(3);

/// Why an engine did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A setting of the actions is wrong.
    #[error("{0}")]
    Actions(String),
    /// It could not join.
    #[error(transparent)]
    Join(#[from] flux_failover::StartError),
}

/// A running engine. Dropping it stops it like a crash; [`Engine::drain`] is the clean end.
pub struct Engine {
    handle: Handle,
    end: CancellationToken,
    drain: CancellationToken,
    /// Answers when the keeper has come to its end.
    ended: oneshot::Receiver<()>,
}

/// What others may ask of a running engine, as long as they like.
#[derive(Clone)]
pub struct Handle {
    shop: Arc<Shop>,
    incarnation: watch::Receiver<Incarnation>,
    /// Of its present life; none between two lives.
    admission: watch::Receiver<Option<Arc<Admission>>>,
}

impl Handle {
    /// Its present incarnation.
    #[must_use]
    pub fn incarnation(&self) -> Incarnation {
        *self.incarnation.borrow()
    }

    /// Says that about `ready` branches were made ready, for it and for the others.
    pub fn nudge(&self, ready: u32) {
        self.shop.woke(ready);
    }

    /// Starts runs, all or none. It runs some of them itself, at once, when it is its turn and nothing
    /// else is ready; the others are told of the rest.
    ///
    /// # Errors
    /// As for [`Runs::submit`](flux_core::ports::runs::Runs::submit).
    pub async fn submit(&self, runs: Vec<NewRun>) -> Result<Vec<Submitted>, Error> {
        let admission = self.admission.borrow().clone();
        if let Some(admission) = admission {
            return admission.submit(runs).await;
        }
        let submitted = self.shop.runs.submit(runs).await?;
        self.shop
            .woke(submitted.iter().map(|s| u32::from(s.new)).sum());
        Ok(submitted)
    }
}

impl Engine {
    /// Joins the cluster and begins to claim, with the real actions.
    ///
    /// # Errors
    /// When a setting is wrong or the cluster is full.
    pub async fn start(
        config: Config,
        stores: Stores,
        compiler: Arc<dyn Compiler>,
        host: Arc<dyn Host>,
    ) -> Result<Engine, StartError> {
        let mut actions = config.actions.clone();
        let timing = Timing::of(config.window);
        actions.kill_grace = actions.kill_grace.min(timing.dead_line - timing.kill_at);
        let actions = Actions::new(actions).map_err(StartError::Actions)?;
        let started = Engine::start_with(config, stores, compiler, Arc::new(actions), host);
        Ok(started.await?)
    }

    /// The same with other actions, whose settings are then not looked at.
    ///
    /// # Errors
    /// When the cluster is full.
    pub async fn start_with(
        config: Config,
        stores: Stores,
        compiler: Arc<dyn Compiler>,
        actions: Arc<dyn Perform>,
        host: Arc<dyn Host>,
    ) -> Result<Engine, flux_failover::StartError> {
        let membership = join(&config, &stores, &host).await?;
        // With the calendar of the cluster, should that of this machine be the odd one.
        let host = membership.host();
        let shop = Arc::new(Shop {
            branches: Arc::clone(&stores.branches),
            runs: Arc::clone(&stores.runs),
            charts: Charts::new(Arc::clone(&stores.definitions), compiler),
            actions,
            host: Arc::clone(&host),
            events: Events::default(),
            nudge: Notify::new(),
            untold: AtomicBool::new(false),
            firing: Notify::new(),
            look: Notify::new(),
            running: Running::new(),
            peers: Arc::clone(&stores.peers),
            strays: AtomicBool::new(false),
            slots_wanted: AtomicBool::new(false),
            version: config.version,
        });
        if config.listened {
            shop.events.make_room();
        }
        let (telling, incarnation) = watch::channel(membership.incarnation());
        let (admitting, admission) = watch::channel(None);
        let (end, drain) = (CancellationToken::new(), CancellationToken::new());
        let keeper = Keeper {
            shop: Arc::clone(&shop),
            slots: Arc::new(Semaphore::new(config.concurrency as usize)),
            config,
            stores,
            end: end.clone(),
            drain: drain.clone(),
            incarnation: telling,
            admission: admitting,
        };
        let (at_the_end, ended) = oneshot::channel();
        host.spawn(Box::pin(async move {
            keeper.keep(membership).await;
            let _nobody_waits = at_the_end.send(());
        }));
        Ok(Engine {
            handle: Handle {
                shop,
                incarnation,
                admission,
            },
            end,
            drain,
            ended,
        })
    }

    /// What happens in this engine from now on.
    #[must_use]
    pub fn events(&self) -> broadcast::Receiver<EngineEvent> {
        self.handle.shop.events.subscribe()
    }

    /// Its present incarnation: another one after it had to step down.
    #[must_use]
    pub fn incarnation(&self) -> Incarnation {
        self.handle.incarnation()
    }

    /// What others may ask of it.
    #[must_use]
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Says that about `ready` branches were made ready, for it and for the others.
    pub fn nudge(&self, ready: u32) {
        self.handle.nudge(ready);
    }

    /// Resolves when it has come to its end: it was drained by somebody else.
    pub async fn ended(&mut self) {
        let _gone = (&mut self.ended).await;
    }

    /// Stops claiming, lets each branch come to its next commit point, gives it back, leaves.
    /// Actions that go on for longer than the drain time-out are stopped.
    pub async fn drain(mut self) {
        self.drain.cancel();
        if (&mut self.ended).await.is_err() {
            tracing::error!("the engine did not come to its end: it panicked");
        }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.end.cancel();
        self.handle.shop.running.stand(Standing::Lost);
    }
}

async fn join(
    config: &Config,
    stores: &Stores,
    host: &Arc<dyn Host>,
) -> Result<Membership, flux_failover::StartError> {
    let system = rustix::system::uname();
    let membership = flux_failover::Config {
        name: config.name.clone(),
        window: config.window,
        host: system.nodename().to_string_lossy().into_owned(),
        pid: std::process::id(),
        version: config.version.to_owned(),
        pool: config.pool.clone(),
        concurrency: config.concurrency,
        address: config.address.clone(),
        max_cluster_size: config.max_cluster_size,
        poison_limit: config.poison_limit,
    };
    Membership::start(membership, Arc::clone(&stores.members), Arc::clone(host)).await
}

/// Keeps the engine in the cluster: one life as a member after the other, until it drains.
struct Keeper {
    shop: Arc<Shop>,
    slots: Arc<Semaphore>,
    config: Config,
    stores: Stores,
    end: CancellationToken,
    drain: CancellationToken,
    incarnation: watch::Sender<Incarnation>,
    admission: watch::Sender<Option<Arc<Admission>>>,
}

impl Keeper {
    async fn keep(self, membership: Membership) {
        loop {
            let me = membership.incarnation();
            self.incarnation.send_replace(me);
            self.tell(EngineEvent::Joined(me));
            let drained = self.live(&membership, me).await;
            if drained {
                if let Err(error) = membership.leave().await {
                    tracing::warn!(engine.id = %me, "left without saying so: {error}");
                }
                return;
            }
            if self.end.is_cancelled() {
                return;
            }
            self.tell(EngineEvent::SteppedDown(me));
            let again = tokio::select! {
                biased;
                () = self.end.cancelled() => None,
                () = self.drain.cancelled() => None,
                again = membership.rejoin() => again,
            };
            if again.is_none() {
                return;
            }
        }
    }

    fn tell(&self, event: EngineEvent) {
        self.shop.events.tell(event);
    }

    /// One life as a member; true when it ended by a drain, false when trust was lost.
    async fn live(&self, membership: &Membership, me: Incarnation) -> bool {
        self.shop.running.stand(Standing::NoNewActions);
        tracing::debug!(
            target: EVIDENCE, event = "serves", engine.id = %me,
            concurrency = self.config.concurrency, pool = self.config.pool,
            boot_ns = self.shop.host.boot().as_nanos(), "begins to claim"
        );
        let life = self.end.child_token();
        let claiming = life.child_token();
        let (claims, workers, tasks) = (TaskTracker::new(), TaskTracker::new(), TaskTracker::new());
        let (actions, host) = (&self.shop.actions, &self.shop.host);
        if let Err(error) = actions.trust(membership.trust(), life.clone(), &**host) {
            // What runs is then killed at the first deadline and run again: slow, but right.
            tracing::error!("cannot start the thread that renews processes' deadlines: {error}");
        }
        let monitor = self.meet(membership, &life, &tasks);
        let knowledge = Arc::new(Knowledge::new(membership.clone()));
        let admission = Arc::new(Admission {
            shop: Arc::clone(&self.shop),
            membership: membership.clone(),
            knowledge: Arc::clone(&knowledge),
            monitor,
            me,
            pool: self.config.pool.clone(),
            slots: Arc::clone(&self.slots),
            shares: Shares::new(Balancer::new(me, STALENESS), Balancer::new(me, STALENESS)),
            takers: claims.clone(),
            workers: workers.clone(),
            end: claiming.clone(),
            taking: RwLock::default(),
        });
        self.admission.send_replace(Some(Arc::clone(&admission)));
        let claimer = Claimer {
            shop: Arc::clone(&self.shop),
            admission,
            poison_limit: self.config.poison_limit,
        };
        host.spawn(Box::pin(claims.track_future(claimer.run())));
        let watch = Watch {
            shop: Arc::clone(&self.shop),
            me,
            knowledge,
            end: life.clone(),
        };
        host.spawn(Box::pin(tasks.track_future(watch.run())));
        self.look_out(me, &claiming, &tasks);
        let drained = tokio::select! {
            biased;
            () = self.end.cancelled() => false,
            () = self.follow_trust(membership.trust()) => false,
            () = self.drained(membership, &claiming, &claims, &workers) => true,
        };
        if !drained {
            self.shop.running.stand(Standing::Lost);
        }
        life.cancel();
        self.admission.send_replace(None);
        ended(&claims, &workers).await;
        tasks.close();
        tasks.wait().await;
        drained
    }

    /// Begins to look for work that nobody tells of, and to fire schedules.
    fn look_out(&self, me: Incarnation, claiming: &CancellationToken, tasks: &TaskTracker) {
        let host = &self.shop.host;
        let lookout = Lookout {
            shop: Arc::clone(&self.shop),
            me,
            pool: self.config.pool.clone(),
            every: self.config.poll,
            end: claiming.clone(),
        };
        host.spawn(Box::pin(tasks.track_future(lookout.run())));
        if is_private(self.config.pool.as_deref()) {
            return;
        }
        let schedules = Schedules {
            shop: Arc::clone(&self.shop),
            definitions: Arc::clone(&self.stores.definitions),
            end: claiming.clone(),
        };
        host.spawn(Box::pin(tasks.track_future(schedules.run())));
    }

    /// Begins to measure this machine, and to tell the other engines of it.
    fn meet(
        &self,
        membership: &Membership,
        life: &CancellationToken,
        tasks: &TaskTracker,
    ) -> Arc<Monitor> {
        let (me, host) = (membership.incarnation(), &self.shop.host);
        let monitor = Arc::new(Monitor::default());
        if let Some(config) = self.config.monitor.clone() {
            let run = Arc::clone(&monitor).run(config, Arc::clone(host), life.clone());
            host.spawn(Box::pin(tasks.track_future(run)));
        }
        let own = Own {
            shop: Arc::clone(&self.shop),
            concurrency: self.config.concurrency,
            monitor: Arc::clone(&monitor),
        };
        self.shop.peers.serve(me, Arc::new(own));
        let (shop, drain) = (Arc::clone(&self.shop), self.drain.clone());
        let follow = peers::follow(shop, me, membership.clone(), drain, life.clone());
        host.spawn(Box::pin(tasks.track_future(follow)));
        monitor
    }

    /// Keeps the workers' standing in step with the trust window until it is lost.
    async fn follow_trust(&self, trust: TrustHandle) {
        let mut changes = trust.subscribe();
        loop {
            let standing = match *changes.borrow_and_update() {
                Trust::Full => Standing::Full,
                Trust::NoNewActions => Standing::NoNewActions,
                Trust::StopActions | Trust::Lost => return,
            };
            let draining = matches!(
                self.shop.running.standing(),
                Standing::Draining | Standing::DrainNow
            );
            if !draining {
                self.shop.running.stand(standing);
                self.shop.nudge.notify_one();
            }
            if changes.changed().await.is_err() {
                return;
            }
        }
    }

    async fn drained(
        &self,
        membership: &Membership,
        claiming: &CancellationToken,
        claims: &TaskTracker,
        workers: &TaskTracker,
    ) {
        self.drain.cancelled().await;
        claiming.cancel();
        tracing::debug!(
            target: EVIDENCE, event = "drains", engine.id = %membership.incarnation(),
            boot_ns = self.shop.host.boot().as_nanos(), "claims nothing any more"
        );
        if let Err(error) = membership.drain().await {
            tracing::warn!("the store does not know that this engine drains: {error}");
        }
        self.shop.running.stand(Standing::Draining);
        let running = self.shop.running.count();
        tracing::info!(
            running,
            "draining: each branch goes on to its next commit point"
        );
        let host = &*self.shop.host;
        let timeout = self.config.drain_timeout;
        if within(host, timeout, ended(claims, workers))
            .await
            .is_none()
        {
            tracing::warn!("the drain time-out passed; stopping the actions that still run");
            self.shop.running.stand(Standing::DrainNow);
            ended(claims, workers).await;
        }
    }
}

/// Waits until nobody claims any more, and then until nobody works: the answer to the last claim
/// begins work too.
async fn ended(claims: &TaskTracker, workers: &TaskTracker) {
    claims.close();
    claims.wait().await;
    workers.close();
    workers.wait().await;
}
