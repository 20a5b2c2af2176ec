//! How branches come in: which part of the ready work is this engine's, who gets a slot, and how a
//! branch that is ours begins to run.

use crate::event::EngineEvent;
use crate::monitor::Monitor;
use crate::running::Standing;
use crate::shop::Shop;
use crate::watch::{Knowledge, give_back_strays};
use crate::worker::Worker;
use flux_core::balance::{Balancer, Load, Share};
use flux_core::clock::BootTime;
use flux_core::ids::Incarnation;
use flux_core::labels::is_private;
use flux_core::ports::Error;
use flux_core::ports::branches::{Claimed, Ready};
use flux_core::ports::runs::{NewRun, Submitted, Taker};
use flux_failover::{EVIDENCE, Membership};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{OwnedSemaphorePermit, RwLock, Semaphore, oneshot};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Of one life as a member.
pub(crate) struct Admission {
    pub shop: Arc<Shop>,
    pub membership: Membership,
    pub knowledge: Arc<Knowledge>,
    pub monitor: Arc<Monitor>,
    pub me: Incarnation,
    pub pool: Option<String>,
    pub slots: Arc<Semaphore>,
    pub shares: Mutex<Shares>,
    /// Those that take branches at the moment.
    pub takers: TaskTracker,
    pub workers: TaskTracker,
    /// Ends the taking; the workers go on.
    pub end: CancellationToken,
    /// Read by whoever takes branches, from before the store is asked until they are known to run here;
    /// written by whoever gives back what does not.
    pub taking: RwLock<()>,
}

/// How the ready work is shared with other engines.
pub(crate) struct Shares {
    /// What every engine may take.
    common: Balancer,
    /// What needs labels, with the engines that have the same.
    pinned: Balancer,
}

impl Shares {
    pub fn new(common: Balancer, pinned: Balancer) -> Mutex<Shares> {
        Mutex::new(Shares { common, pinned })
    }
}

impl Admission {
    /// Whether branches may begin here.
    pub fn is_open(&self) -> bool {
        !self.end.is_cancelled() && self.shop.running.standing() == Standing::Full
    }

    /// Whether there is anybody to share the ready work with.
    pub fn others_have_room(&self) -> bool {
        let now = self.shop.host.boot();
        self.shares().common.others_have_room(now)
    }

    /// This engine's part of so many ready branches.
    pub fn part(&self, ready: Ready) -> Share {
        let (load, now) = (self.load(), self.shop.host.boot());
        let mut shares = self.shares();
        let common = shares.common.share(&load, ready.common, now);
        let pinned = shares.pinned.share(&load, ready.pinned, now);
        let again = [common.look_again, pinned.look_again];
        Share {
            claim: common.claim.saturating_add(pinned.claim).min(load.free()),
            look_again: again.into_iter().flatten().min(),
        }
    }

    /// At most so many free slots, as one permit that can be split.
    pub fn slots(&self, most: usize) -> OwnedSemaphorePermit {
        loop {
            let free = self.slots.available_permits().min(most);
            let free = u32::try_from(free).unwrap_or(u32::MAX);
            // Others may take some in between; none can always be had.
            if let Ok(slots) = Arc::clone(&self.slots).try_acquire_many_owned(free) {
                return slots;
            }
        }
    }

    /// Starts runs, and runs at once what is this engine's part of them.
    pub async fn submit(self: &Arc<Self>, runs: Vec<NewRun>) -> Result<Vec<Submitted>, Error> {
        let (answer, answered) = oneshot::channel();
        let admission = Arc::clone(self);
        // It goes on without the caller: what is taken must run.
        let submit = async move {
            let submitted = admission.submit_and_take(runs).await;
            let _caller = answer.send(submitted);
        };
        let submit = self.takers.track_future(submit);
        self.shop.host.spawn(Box::pin(submit));
        let gone = || Error::Unavailable("the engine has ended".to_owned());
        answered.await.map_err(|_| gone())?
    }

    async fn submit_and_take(&self, runs: Vec<NewRun>) -> Result<Vec<Submitted>, Error> {
        let slots = self.slots_for(&runs);
        let taker = (slots.num_permits() > 0).then(|| Taker {
            owner: self.me,
            limit: u32::try_from(slots.num_permits()).unwrap_or(u32::MAX),
            pool: self.pool.clone().filter(|pool| is_private(Some(pool))),
        });
        let wanted = if taker.is_some() {
            runs.clone()
        } else {
            Vec::new()
        };
        let asked = self.shop.host.boot();
        let _taking = self.taking.read().await;
        let submitted = self.shop.runs.submit_and_take(runs, taker).await;
        // The answer alone may be lost.
        let submitted = submitted.inspect_err(|_| self.shop.doubt())?;
        let taken = wanted.into_iter().zip(&submitted);
        let taken = taken.filter(|(_, submitted)| submitted.taken);
        let taken = taken.map(|(run, _)| Claimed::at_submission(run, self.me));
        self.hand_out(taken.collect(), slots, asked);
        let left = submitted.iter().filter(|s| s.new && !s.taken).count();
        if left > 0 {
            self.shop.woke(u32::try_from(left).unwrap_or(u32::MAX));
        }
        Ok(submitted)
    }

    /// Gives back what is ours and does not run here, if there is any doubt.
    pub async fn settle_doubt(&self) {
        if !self.shop.strays.swap(false, Ordering::Relaxed) {
            return;
        }
        let _nobody_takes = self.taking.write().await;
        if let Err(error) = give_back_strays(&self.shop, self.me).await {
            tracing::debug!("cannot give back what does not run here: {error}");
        }
    }

    /// Free slots for this engine's part of new runs.
    fn slots_for(&self, runs: &[NewRun]) -> OwnedSemaphorePermit {
        if !self.is_open() {
            return self.slots(0);
        }
        let new = u32::try_from(runs.len()).unwrap_or(u32::MAX);
        let (load, now) = (self.load(), self.shop.host.boot());
        let part = self.shares().common.part_of_new(&load, new, now);
        self.slots(part as usize)
    }

    fn load(&self) -> Load {
        let free = u32::try_from(self.slots.available_permits()).unwrap_or(u32::MAX);
        let running = u32::try_from(self.shop.running.count()).unwrap_or(u32::MAX);
        Load {
            running,
            concurrency: running.saturating_add(free),
            score: self.monitor.score(),
        }
    }

    /// With what the others have told last.
    fn shares(&self) -> MutexGuard<'_, Shares> {
        let mut shares = self.shares.lock().unwrap_or_else(PoisonError::into_inner);
        for told in self.shop.peers.reports() {
            shares.common.hear(told.report);
            if told.is_alike {
                shares.pinned.hear(told.report);
            }
        }
        shares
    }

    /// Lets each of them run, with one of the slots. The store was asked for them at `asked`.
    pub fn hand_out(
        &self,
        branches: Vec<Claimed>,
        mut slots: OwnedSemaphorePermit,
        asked: BootTime,
    ) {
        if branches.is_empty() {
            return;
        }
        self.monitor
            .claimed(u32::try_from(branches.len()).unwrap_or(u32::MAX));
        for claimed in branches {
            self.tell(&claimed, asked);
            self.start(claimed, slots.split(1));
        }
        self.shop.peers.changed();
    }

    fn tell(&self, claimed: &Claimed, asked: BootTime) {
        let (run, branch, lost) = (claimed.run, claimed.branch, claimed.lost);
        self.shop
            .events
            .tell(EngineEvent::Claimed { run, branch, lost });
        tracing::debug!(
            target: EVIDENCE, event = "claimed", engine.id = %self.me, run.id = %run,
            branch.id = %branch, epoch = claimed.fence.epoch.get(),
            commit_no = claimed.fence.commit_no.get(), lost,
            asked_ns = asked.as_nanos(), boot_ns = self.shop.host.boot().as_nanos(),
            "claimed a branch"
        );
    }

    fn start(&self, claimed: Claimed, slot: Option<OwnedSemaphorePermit>) {
        let shop = Arc::clone(&self.shop);
        let (entry, stop) = shop.running.enter(claimed.branch, claimed.fence.epoch);
        let (trust, knowledge) = (self.membership.trust(), Arc::clone(&self.knowledge));
        let worker = Worker::new(Arc::clone(&shop), claimed, stop, trust, knowledge);
        let work = async move {
            worker.drive().await;
            drop(entry);
            drop(slot);
            if shop.slots_wanted.load(Ordering::Relaxed) {
                shop.nudge.notify_one();
            }
            shop.peers.changed();
        };
        let work = self.workers.track_future(work);
        self.shop.host.spawn(Box::pin(work));
    }
}
