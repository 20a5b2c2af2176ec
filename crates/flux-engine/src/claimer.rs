//! Takes due branches for as long as there are free slots, and hands each to a worker.

use crate::event::EngineEvent;
use crate::monitor::Monitor;
use crate::running::Standing;
use crate::shop::Shop;
use crate::watch::{Knowledge, give_back_strays};
use crate::worker::Worker;
use flux_core::balance::{Balancer, Load, Share};
use flux_core::clock::BootTime;
use flux_core::ids::Incarnation;
use flux_core::ports::Error;
use flux_core::ports::branches::{ClaimRequest, Claims, Ready};
use flux_failover::{EVIDENCE, Membership};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Branches taken by one claim.
const BATCH: usize = 1_000;

/// How far ready branches are counted, to share them with other engines.
const LOOK: u32 = 1_000;

/// How soon to try again what could not be done.
const AGAIN: Duration = Duration::from_millis(100);

/// When a slot may be free that another engine was about to take.
const SOON: Duration = Duration::from_millis(10);

/// What comes after a round.
enum Round {
    /// The next one: there may be more.
    More,
    /// Nothing, until somebody nudges or that much time has passed.
    Over(Option<Duration>),
}

pub(crate) struct Claimer {
    pub shop: Arc<Shop>,
    pub membership: Membership,
    pub knowledge: Arc<Knowledge>,
    pub monitor: Arc<Monitor>,
    /// Shares what every engine may take.
    pub common: Balancer,
    /// Shares what needs labels, with the engines that have the same.
    pub pinned: Balancer,
    pub me: Incarnation,
    pub pool: Option<String>,
    pub poison_limit: u32,
    pub slots: Arc<Semaphore>,
    pub workers: TaskTracker,
    /// Ends the claiming; the workers go on.
    pub end: CancellationToken,
}

impl Claimer {
    pub async fn run(mut self) {
        while !self.end.is_cancelled() {
            let again = self.pass().await;
            let pause = async {
                match again {
                    Some(pause) => self.shop.host.sleep(pause).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                () = self.end.cancelled() => {}
                () = self.shop.nudge.notified() => {}
                () = pause => {}
            }
        }
    }

    /// Claims until there is no slot or no work left; when to look again, even if nobody nudges.
    async fn pass(&mut self) -> Option<Duration> {
        if self.shop.strays.swap(false, Ordering::Relaxed)
            && let Err(error) = give_back_strays(&self.shop, self.me).await
        {
            tracing::debug!("cannot give back what does not run here: {error}");
        }
        loop {
            // Waiting for the first slot here keeps a full engine from asking the store at all.
            tokio::select! {
                biased;
                () = self.end.cancelled() => return None,
                first = Arc::clone(&self.slots).acquire_owned() => drop(first),
            }
            if self.end.is_cancelled() || self.shop.running.standing() != Standing::Full {
                return Some(AGAIN);
            }
            let free = self.slots.available_permits().clamp(1, BATCH);
            let round = match self.round(free).await {
                Ok(round) => round,
                Err(error) => {
                    tracing::warn!(engine.id = %self.me, "cannot claim: {error}; trying again");
                    // The answer alone may be lost.
                    self.shop.strays.store(true, Ordering::Relaxed);
                    return Some(2 * AGAIN);
                }
            };
            if let Round::Over(again) = round {
                return again;
            }
        }
    }

    /// Claims what is this engine's part of the work.
    async fn round(&mut self, free: usize) -> Result<Round, Error> {
        for told in self.shop.peers.reports() {
            self.common.hear(told.report);
            if told.is_alike {
                self.pinned.hear(told.report);
            }
        }
        let free = free as u32;
        let mut part = Share {
            claim: free,
            look_again: None,
        };
        if self.common.others_have_room(self.shop.host.boot()) {
            let look = self.claim(0, LOOK).await?;
            part = self.part(look.ready);
            self.pass_on(&part, look.ready);
            // What has a slot is started where that is seen: few have one, and it is not left unused.
            part.claim = part.claim.saturating_add(look.throttled.startable);
            if part.claim == 0 {
                self.want_slots(&look);
                return Ok(Round::Over(part.look_again));
            }
        }
        let asked = self.shop.host.boot();
        let limit = part.claim.min(free);
        let claims = self.claim(limit, 0).await?;
        let taken = claims.branches.len() as u32;
        let again = [part.look_again, claims.throttled.busy.then_some(SOON)];
        self.monitor.claimed(taken);
        self.want_slots(&claims);
        self.hand_out(claims, asked);
        if taken > 0 {
            self.shop.peers.changed();
        }
        let again = again.into_iter().flatten().min();
        Ok(match again {
            None if taken == limit => Round::More,
            again => Round::Over(again),
        })
    }

    /// Lets the others look for what is left to them. They look by themselves, but at another moment.
    fn pass_on(&self, part: &Share, ready: Ready) {
        let untold = self.shop.untold.swap(false, Ordering::Relaxed);
        if untold && part.look_again.is_some() {
            let ready = ready.common.saturating_add(ready.pinned);
            self.shop.peers.nudge(ready.saturating_sub(part.claim));
        }
    }

    /// This engine's part of so many ready branches.
    fn part(&mut self, ready: Ready) -> Share {
        let free = u32::try_from(self.slots.available_permits()).unwrap_or(u32::MAX);
        let running = u32::try_from(self.shop.running.count()).unwrap_or(u32::MAX);
        let load = Load {
            running,
            concurrency: running.saturating_add(free),
            score: self.monitor.score(),
        };
        let now = self.shop.host.boot();
        let common = self.common.share(&load, ready.common, now);
        let pinned = self.pinned.share(&load, ready.pinned, now);
        let again = [common.look_again, pinned.look_again];
        Share {
            claim: common.claim.saturating_add(pinned.claim).min(free),
            look_again: again.into_iter().flatten().min(),
        }
    }

    /// Whether the end of a branch makes way for one that waits for a slot.
    fn want_slots(&self, claims: &Claims) {
        let wanted = claims.throttled.waiting;
        self.shop.slots_wanted.store(wanted, Ordering::Relaxed);
    }

    async fn claim(&self, limit: u32, count: u32) -> Result<Claims, Error> {
        let request = ClaimRequest {
            owner: self.me,
            limit,
            count,
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
            let worker = Worker::new(Arc::clone(&shop), claimed, stop, trust.clone(), knowledge);
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
}
