//! Takes due branches for as long as there are free slots.

use crate::admission::Admission;
use crate::shop::Shop;
use flux_core::balance::Share;
use flux_core::ports::Error;
use flux_core::ports::branches::{ClaimRequest, Claims, Ready};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

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
    pub admission: Arc<Admission>,
    pub poison_limit: u32,
}

impl Claimer {
    pub async fn run(self) {
        let end = &self.admission.end;
        while !end.is_cancelled() {
            let again = self.pass().await;
            let pause = async {
                match again {
                    Some(pause) => self.shop.host.sleep(pause).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                () = end.cancelled() => {}
                () = self.shop.nudge.notified() => {}
                () = pause => {}
            }
        }
    }

    /// Claims until there is no slot or no work left; when to look again, even if nobody nudges.
    async fn pass(&self) -> Option<Duration> {
        let (end, slots) = (&self.admission.end, &self.admission.slots);
        self.admission.settle_doubt().await;
        loop {
            // Waiting for the first slot here keeps a full engine from asking the store at all.
            tokio::select! {
                biased;
                () = end.cancelled() => return None,
                first = Arc::clone(slots).acquire_owned() => drop(first),
            }
            if !self.admission.is_open() {
                return Some(AGAIN);
            }
            let free = slots.available_permits().clamp(1, BATCH);
            match self.round(free).await {
                Ok(Round::More) => {}
                Ok(Round::Over(again)) => return again,
                Err(error) => {
                    let me = self.admission.me;
                    tracing::warn!(engine.id = %me, "cannot claim: {error}; trying again");
                    // The answer alone may be lost; without a nudge, so that there is a pause.
                    self.shop.strays.store(true, Ordering::Relaxed);
                    return Some(2 * AGAIN);
                }
            }
        }
    }

    /// Claims what is this engine's part of the work.
    async fn round(&self, free: usize) -> Result<Round, Error> {
        let mut part = Share {
            claim: free as u32,
            look_again: None,
        };
        if self.admission.others_have_room() {
            let look = self.claim(0, LOOK).await?;
            part = self.admission.part(look.ready);
            self.pass_on(&part, look.ready);
            // What has a slot is started where that is seen: few have one, and it is not left unused.
            part.claim = part.claim.saturating_add(look.throttled.startable);
            if part.claim == 0 {
                self.want_slots(&look);
                return Ok(Round::Over(part.look_again));
            }
        }
        let slots = self.admission.slots(free.min(part.claim as usize));
        let limit = u32::try_from(slots.num_permits()).unwrap_or(u32::MAX);
        if limit == 0 {
            return Ok(Round::More);
        }
        let asked = self.shop.host.boot();
        let _taking = self.admission.taking.read().await;
        let claims = self.claim(limit, 0).await?;
        let taken = claims.branches.len();
        let again = [part.look_again, claims.throttled.busy.then_some(SOON)];
        self.want_slots(&claims);
        self.admission.hand_out(claims.branches, slots, asked);
        let again = again.into_iter().flatten().min();
        Ok(match again {
            None if taken == limit as usize => Round::More,
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

    /// Whether the end of a branch makes way for one that waits for a slot.
    fn want_slots(&self, claims: &Claims) {
        let wanted = claims.throttled.waiting;
        self.shop.slots_wanted.store(wanted, Ordering::Relaxed);
    }

    async fn claim(&self, limit: u32, count: u32) -> Result<Claims, Error> {
        let request = ClaimRequest {
            owner: self.admission.me,
            limit,
            count,
            pool: self.admission.pool.clone(),
            now: self.shop.host.now(),
            // On its last chance before the poison limit.
            alone_from: self.poison_limit.saturating_sub(1).max(1),
        };
        self.shop.branches.claim(request).await
    }
}
