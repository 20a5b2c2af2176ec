//! The pass that compares what runs here with what the store says is ours. What is not ours any
//! more was cancelled or taken over. What is ours and does not run was taken by a claim whose answer
//! was lost, and must not be owned for ever by an engine that does not know of it.

use crate::shop::Shop;
use flux_core::ids::{BranchId, Incarnation};
use flux_core::ports::Error;
use flux_core::ports::branches::{Fence, Release, ReleaseTo};
use flux_failover::Membership;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

/// Whether this engine knows what it owns. When the store was reached anew it does not: perhaps a
/// replica answers that has lost a claim, and another engine has the branch. No action starts until
/// the store has said that all is as it was.
pub(crate) struct Knowledge {
    membership: Membership,
    /// As of which opening of the store.
    of: watch::Sender<u64>,
    look: Notify,
}

impl Knowledge {
    /// Of an engine that owns nothing yet.
    pub fn new(membership: Membership) -> Knowledge {
        Knowledge {
            of: watch::Sender::new(membership.openings()),
            membership,
            look: Notify::new(),
        }
    }

    pub fn is_current(&self) -> bool {
        *self.of.borrow() == self.membership.openings()
    }

    /// Resolves when it is current.
    pub async fn renewed(&self) {
        let mut of = self.of.subscribe();
        while !self.is_current() {
            self.look.notify_one();
            if of.changed().await.is_err() {
                return;
            }
        }
    }
}

pub(crate) struct Watch {
    pub shop: Arc<Shop>,
    pub me: Incarnation,
    pub knowledge: Arc<Knowledge>,
    pub end: CancellationToken,
}

impl Watch {
    /// How late a cancelled branch of another engine's decision is noticed; its commits are fenced
    /// in any case.
    const EVERY: Duration = Duration::from_secs(1);
    /// Every so many times also where nothing runs: a claim whose answer was lost may come true much later.
    const RARELY: u32 = 15;

    pub async fn run(self) {
        let mut idle = 0;
        loop {
            tokio::select! {
                biased;
                () = self.end.cancelled() => return,
                () = self.knowledge.look.notified() => {}
                () = self.shop.host.sleep(Self::EVERY) => {
                    idle += 1;
                    if self.shop.running.count() == 0 && idle < Self::RARELY {
                        continue;
                    }
                }
            }
            idle = 0;
            if let Err(error) = self.pass().await {
                tracing::debug!("cannot look at the owned branches: {error}");
            }
        }
    }

    async fn pass(&self) -> Result<(), Error> {
        let opening = self.knowledge.membership.openings();
        let before = self.shop.running.list();
        let owned = self.shop.branches.owned(self.me).await?;
        let epochs: HashSet<_> = owned.iter().map(|(id, fence)| (*id, fence.epoch)).collect();
        // Only those that were running before the question: a later claim is not in the answer.
        let gone = before.into_iter().filter(|entry| !epochs.contains(entry));
        let gone: Vec<_> = gone.map(|(branch, _)| branch).collect();
        self.shop.running.cancelled(&gone);
        self.knowledge.of.send_replace(opening);
        if !strays(&self.shop, &owned).is_empty() {
            // Perhaps the answer is only on its way, which the claimer knows.
            self.shop.doubt();
        }
        Ok(())
    }
}

/// What is owned and does not run here.
fn strays(shop: &Shop, owned: &[(BranchId, Fence)]) -> Vec<(BranchId, Fence)> {
    let running: HashSet<_> = shop.running.list().into_iter().collect();
    let runs = |id: BranchId, fence: Fence| running.contains(&(id, fence.epoch));
    let owned = owned.iter().copied();
    owned.filter(|(id, fence)| !runs(*id, *fence)).collect()
}

/// Gives back what is owned and does not run here. Only while no claim is on its way: what its
/// answer would bring must not be given back meanwhile.
pub(crate) async fn give_back_strays(shop: &Shop, me: Incarnation) -> Result<(), Error> {
    let owned = shop.branches.owned(me).await?;
    for (branch, fence) in strays(shop, &owned) {
        tracing::warn!(
            branch.id = %branch, engine.id = %me,
            "gives back a branch that it owns and knows nothing of: the answer to a claim was lost"
        );
        let release = Release {
            branch,
            fence,
            now: shop.host.now(),
            to: ReleaseTo::Ready,
        };
        // Refused when it has gone on meanwhile: it did run here, and has just come to its end.
        shop.branches.release(release).await?;
    }
    Ok(())
}
