//! An engine's life in the cluster: joining, stepping down, joining again, leaving.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use flux_core::host::Host;
use flux_core::ids::Incarnation;
use flux_core::ownership::Timing;
use flux_core::ports::Error;
use flux_core::ports::members::{Member, Members};
use tokio::sync::{Notify, watch};
use tracing::{debug, info, warn};

use crate::EVIDENCE;
use crate::calendar::{Corrected, Correction};
use crate::failover::{Failover, Report};
use crate::heartbeat::Heartbeat;
use crate::trust::{Loss, TrustHandle};

mod join;

/// Makes a connection to the membership; it must not wait for the store. Called once for the
/// membership itself and once, where it runs, for each heartbeat.
pub type Factory = Arc<dyn Fn() -> Arc<dyn Members> + Send + Sync>;

/// What an engine says about itself, and how it takes part.
#[derive(Clone, Debug)]
pub struct Config {
    /// The engine's name: a label.
    pub name: String,
    /// The failover time window.
    pub window: Duration,
    /// The machine it runs on.
    pub host: String,
    /// Its process on that machine.
    pub pid: u32,
    /// The version of the program.
    pub version: String,
    /// The pool whose branches it claims; `None` is the common one.
    pub pool: Option<String>,
    /// How many branches it runs at a time, at most.
    pub concurrency: u32,
    /// Where the others reach it; `None` without networking.
    pub address: Option<String>,
    /// How many engines the cluster may have (`MAX_CLUSTER_SIZE`).
    pub max_cluster_size: u32,
    /// How often in a row a branch may lose its engine before it fails.
    pub poison_limit: u32,
}

/// Where the engine stands in the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It is a member under this incarnation.
    Joined(Incarnation),
    /// This incarnation is at its end: stop everything, then call [`Membership::rejoin`].
    SteppingDown {
        /// The incarnation that ends.
        incarnation: Incarnation,
        /// Why.
        why: Loss,
    },
    /// It has left and does not come back.
    Left,
}

/// Why an engine could not become a member.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Every place is taken.
    #[error("the cluster has {limit} engines already, its limit; MAX_CLUSTER_SIZE raises it")]
    ClusterFull {
        /// The limit.
        limit: u32,
    },
    /// The store fails in a way that waiting does not mend.
    #[error("the engine could not join the cluster")]
    Store(#[source] Error),
    /// The system refuses the threads of the heartbeat.
    #[error("the heartbeat could not be started")]
    Heartbeat(#[source] io::Error),
}

/// An engine's membership. Clones share it; it ends with [`leave`](Self::leave) or when the last
/// clone is dropped.
#[derive(Clone)]
pub struct Membership {
    inner: Arc<Inner>,
}

struct Inner {
    config: Config,
    timing: Timing,
    factory: Factory,
    members: Arc<dyn Members>,
    host: Arc<dyn Host>,
    correction: Correction,
    status: watch::Sender<Status>,
    reports: watch::Sender<Arc<Report>>,
    seen: watch::Sender<Arc<Vec<Member>>>,
    nudge: Arc<Notify>,
    draining: AtomicBool,
    session: Mutex<Session>,
    /// Held while one incarnation follows another.
    changing: tokio::sync::Mutex<()>,
}

/// What lives as long as one incarnation.
struct Session {
    incarnation: Incarnation,
    trust: TrustHandle,
    /// Beating, watching and judging; taken away when the incarnation ends.
    duties: Option<Duties>,
}

struct Duties {
    _heartbeat: Heartbeat,
    /// The other duties end when it is dropped.
    _watching: watch::Sender<()>,
}

impl Membership {
    /// Joins as a new incarnation and begins to beat, and to observe the others. While the store
    /// is away it goes on trying. The engine may claim as soon as [`trust`](Self::trust) is
    /// [`Trust::Full`](flux_core::ownership::Trust::Full), which takes one heartbeat.
    ///
    /// # Errors
    /// See [`StartError`].
    pub async fn start(
        config: Config,
        factory: Factory,
        host: Arc<dyn Host>,
    ) -> Result<Self, StartError> {
        let members = factory();
        let incarnation = join::join(&config, &*members, &*host).await?;
        let timing = Timing::of(config.window);
        let session = Session {
            incarnation,
            trust: TrustHandle::new(timing, host.clone()),
            duties: None,
        };
        let inner = Arc::new(Inner {
            timing,
            config,
            factory,
            members,
            host,
            correction: Correction::default(),
            status: watch::Sender::new(Status::Joined(incarnation)),
            reports: watch::Sender::default(),
            seen: watch::Sender::default(),
            nudge: Arc::default(),
            draining: AtomicBool::new(false),
            session: Mutex::new(session),
            changing: tokio::sync::Mutex::default(),
        });
        inner.begin(incarnation).map_err(StartError::Heartbeat)?;
        Ok(Self { inner })
    }

    /// The present incarnation.
    #[must_use]
    pub fn incarnation(&self) -> Incarnation {
        self.inner.lock().incarnation
    }

    /// The trust of the present incarnation. After a [`rejoin`](Self::rejoin), ask again.
    #[must_use]
    pub fn trust(&self) -> TrustHandle {
        self.inner.lock().trust.clone()
    }

    /// The host with a calendar that agrees with the cluster's: where most clocks, the database's
    /// included, are far away from that of this machine, it follows them.
    #[must_use]
    pub fn host(&self) -> Arc<dyn Host> {
        Arc::new(Corrected {
            host: self.inner.host.clone(),
            by: self.inner.correction.clone(),
        })
    }

    /// How often the store was reached anew: see
    /// [`Members::openings`](flux_core::ports::members::Members::openings).
    #[must_use]
    pub fn openings(&self) -> u64 {
        self.inner.members.openings()
    }

    /// Follows where the engine stands in the cluster.
    #[must_use]
    pub fn status(&self) -> watch::Receiver<Status> {
        self.inner.status.subscribe()
    }

    /// Follows the reports of failover passes; the latest replaces the one before it.
    #[must_use]
    pub fn reports(&self) -> watch::Receiver<Arc<Report>> {
        self.inner.reports.subscribe()
    }

    /// Follows the members of the cluster, as this engine reads them when it observes them.
    #[must_use]
    pub fn members(&self) -> watch::Receiver<Arc<Vec<Member>>> {
        self.inner.seen.subscribe()
    }

    /// Asks for a failover pass now.
    pub fn nudge(&self) {
        self.inner.nudge.notify_one();
    }

    /// From now on this engine claims nothing; it goes on beating until it leaves.
    ///
    /// # Errors
    /// If the store fails; try again.
    pub async fn drain(&self) -> Result<(), Error> {
        self.inner.draining.store(true, Ordering::Release);
        self.inner.members.set_draining(self.incarnation()).await
    }

    /// Leaves the cluster at once, to be called when nothing is owned any more. What still is
    /// owned is taken over by the others after the failover time window.
    ///
    /// # Errors
    /// If the store fails. The engine has stopped beating in any case, so the others will notice.
    pub async fn leave(&self) -> Result<(), Error> {
        let _changing = self.inner.changing.lock().await;
        self.inner.draining.store(true, Ordering::Release);
        let me = self.inner.end();
        debug!(
            target: EVIDENCE, event = "leaves", engine.id = %me,
            boot_ns = self.inner.host.boot().as_nanos(), "is about to leave the cluster"
        );
        let result = self.inner.members.leave(me).await;
        self.inner.status.send_replace(Status::Left);
        result
    }

    /// Becomes a member again as a new incarnation, after the engine has stopped *everything* the
    /// old one ran: the old one is buried at once, and its branches are free again without
    /// waiting for a window. Goes on trying while the store is away or the cluster is full.
    /// `None`: it was draining, so it has left instead.
    ///
    /// The old one ends even if a heartbeat has meanwhile brought back its trust: it still owns
    /// branches that nobody runs any more, and while it lives no one else may.
    pub async fn rejoin(&self) -> Option<Incarnation> {
        let _changing = self.inner.changing.lock().await;
        if *self.inner.status.borrow() == Status::Left {
            return None;
        }
        let trust = self.trust();
        trust.give_up();
        let old = self.inner.end();
        // Before the new one joins, and whoever was to say so has just been ended.
        announce(old, &trust, &self.inner.status, &*self.inner.host);
        join::bury(old, &*self.inner.members, &*self.inner.host).await;
        if self.inner.draining.load(Ordering::Acquire) {
            self.inner.status.send_replace(Status::Left);
            return None;
        }
        Some(self.inner.become_another(old).await)
    }
}

impl Inner {
    /// Ends the duties of the present incarnation, and names it.
    fn end(&self) -> Incarnation {
        let mut session = self.lock();
        session.duties = None;
        session.incarnation
    }

    async fn become_another(self: &Arc<Self>, old: Incarnation) -> Incarnation {
        loop {
            let joined = join::join(&self.config, &*self.members, &*self.host).await;
            let begun = joined.and_then(|new| {
                let begun = self.begin(new).map(|()| new);
                begun.map_err(StartError::Heartbeat)
            });
            match begun {
                Ok(new) => {
                    info!(engine.id = %new, engine.predecessor = %old, "joined the cluster again");
                    return new;
                }
                Err(error) => {
                    warn!(engine.predecessor = %old, %error, "joining again fails; it is tried again");
                    self.host.sleep(join::LONGEST_PAUSE).await;
                }
            }
        }
    }

    /// Takes up the duties of `incarnation`, which has joined.
    fn begin(self: &Arc<Self>, incarnation: Incarnation) -> io::Result<()> {
        let trust = TrustHandle::new(self.timing, self.host.clone());
        let factory = self.factory.clone();
        let heartbeat = Heartbeat::start(
            incarnation,
            self.timing,
            move || factory(),
            self.host.clone(),
            trust.clone(),
        )?;
        let failover = Failover::new(
            incarnation,
            self.timing,
            self.config.poison_limit,
            self.members.clone(),
            self.host.clone(),
            trust.clone(),
            self.correction.clone(),
        );
        let mut session = self.lock();
        self.status.send_replace(Status::Joined(incarnation));
        let (watching, over) = watch::channel(());
        let failover = failover.run(self.nudge.clone(), self.reports.clone(), self.seen.clone());
        let announce = announce_loss(
            incarnation,
            trust.clone(),
            self.status.clone(),
            self.host.clone(),
        );
        self.host.spawn(Box::pin(until(over.clone(), failover)));
        self.host.spawn(Box::pin(until(over, announce)));
        *session = Session {
            incarnation,
            trust,
            duties: Some(Duties {
                _heartbeat: heartbeat,
                _watching: watching,
            }),
        };
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Session> {
        let lock = self.session.lock();
        lock.unwrap_or_else(PoisonError::into_inner)
    }
}

/// Does `duty` until the sender of `over` is gone.
async fn until(mut over: watch::Receiver<()>, duty: impl Future<Output = ()>) {
    tokio::select! {
        biased;
        _ = over.changed() => {}
        () = duty => {}
    }
}

async fn announce_loss(
    incarnation: Incarnation,
    trust: TrustHandle,
    status: watch::Sender<Status>,
    host: Arc<dyn Host>,
) {
    let _why = trust.lost().await;
    announce(incarnation, &trust, &status, &*host);
}

/// Says once that the trust is lost.
fn announce(
    incarnation: Incarnation,
    trust: &TrustHandle,
    status: &watch::Sender<Status>,
    host: &dyn Host,
) {
    let why = trust.loss().unwrap_or(Loss::Silent);
    let ending = Status::SteppingDown { incarnation, why };
    if status.send_if_modified(|status| std::mem::replace(status, ending) != ending) {
        debug!(
            target: EVIDENCE, event = "stepped-down", engine.id = %incarnation,
            boot_ns = host.boot().as_nanos(), "lost its trust"
        );
        warn!(engine.id = %incarnation, ?why, "this engine steps down");
    }
}

#[cfg(test)]
mod tests;
