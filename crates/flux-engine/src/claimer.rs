//! Takes due branches for as long as there are free slots, and hands each to a worker.

use crate::event::EngineEvent;
use crate::running::Standing;
use crate::watch::{Knowledge, give_back_strays};
use crate::worker::{Shop, Worker};
use flux_core::clock::{BootTime, Timestamp};
use flux_core::ids::Incarnation;
use flux_core::ports::branches::{ClaimRequest, Claims};
use flux_failover::{EVIDENCE, Membership};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Branches taken by one claim.
const BATCH: usize = 100;

pub(crate) struct Claimer {
    pub shop: Arc<Shop>,
    pub membership: Membership,
    pub knowledge: Arc<Knowledge>,
    pub me: Incarnation,
    pub pool: Option<String>,
    pub poison_limit: u32,
    pub slots: Arc<Semaphore>,
    pub workers: TaskTracker,
    pub poll: Duration,
    /// Ends the claiming; the workers go on.
    pub end: CancellationToken,
}

impl Claimer {
    pub async fn run(self) {
        while !self.end.is_cancelled() {
            let pause = self.pass().await;
            tokio::select! {
                biased;
                () = self.end.cancelled() => {}
                () = self.shop.nudge.notified() => {}
                () = self.shop.host.sleep(pause) => {}
            }
        }
    }

    /// One round: claims until there is no slot or no work left; how long to pause then.
    async fn pass(&self) -> Duration {
        if self.shop.strays.swap(false, Ordering::Relaxed)
            && let Err(error) = give_back_strays(&self.shop, self.me).await
        {
            tracing::debug!("cannot give back what does not run here: {error}");
        }
        loop {
            // Waiting for the first slot here keeps a full engine from asking the store at all.
            tokio::select! {
                biased;
                () = self.end.cancelled() => return self.poll,
                first = Arc::clone(&self.slots).acquire_owned() => drop(first),
            }
            if self.end.is_cancelled() || self.shop.running.standing() != Standing::Full {
                return self.poll.min(Duration::from_millis(100));
            }
            let free = self.slots.available_permits().clamp(1, BATCH);
            let asked = self.shop.host.boot();
            let claims = match self.claim(free).await {
                Ok(claims) => claims,
                Err(error) => {
                    tracing::warn!(engine.id = %self.me, "cannot claim: {error}; trying again");
                    return self.poll.max(Duration::from_millis(200));
                }
            };
            let (taken, next_due) = (claims.branches.len(), claims.next_due);
            self.hand_out(claims, asked);
            if taken < free {
                return self.pause(next_due);
            }
        }
    }

    async fn claim(&self, free: usize) -> Result<Claims, flux_core::ports::Error> {
        let request = ClaimRequest {
            owner: self.me,
            limit: free as u32,
            pool: self.pool.clone(),
            now: self.shop.host.now(),
            // On its last chance before the poison limit.
            alone_from: self.poison_limit.saturating_sub(1).max(1),
        };
        self.shop.branches.claim(request).await
    }

    fn hand_out(&self, claims: Claims, asked: BootTime) {
        let trust = self.membership.trust();
        for claimed in claims.branches {
            // Only this task takes slots, so that there are as many as were free above.
            let slot = Arc::clone(&self.slots).try_acquire_owned().ok();
            let (run, branch) = (claimed.run, claimed.branch);
            let event = EngineEvent::Claimed {
                run,
                branch,
                lost: claimed.lost,
            };
            self.shop.events.tell(event);
            tracing::debug!(
                target: EVIDENCE, event = "claimed", engine.id = %self.me, run.id = %run,
                branch.id = %branch, epoch = claimed.fence.epoch.get(),
                commit_no = claimed.fence.commit_no.get(), lost = claimed.lost,
                asked_ns = asked.as_nanos(), boot_ns = self.shop.host.boot().as_nanos(),
                "claimed a branch"
            );
            let (entry, stop) = self.shop.running.enter(branch, claimed.fence.epoch);
            let shop = Arc::clone(&self.shop);
            let knowledge = Arc::clone(&self.knowledge);
            let worker = Worker::new(shop, claimed, stop, trust.clone(), knowledge);
            let work = async move {
                worker.drive().await;
                drop(entry);
                drop(slot);
            };
            let work = self.workers.track_future(work);
            self.shop.host.spawn(Box::pin(work));
        }
    }

    fn pause(&self, next_due: Option<Timestamp>) -> Duration {
        let now = self.shop.host.now();
        match next_due {
            // At least a millisecond: a due time that passed meanwhile is found by the next claim.
            Some(due) => due.since(now).clamp(Duration::from_millis(1), self.poll),
            None => self.poll,
        }
    }
}
