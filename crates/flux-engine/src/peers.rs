//! The engine among the others: what it tells them, and what it makes of what it hears.

use crate::shop::Shop;
use flux_core::balance::Load;
use flux_core::ids::Incarnation;
use flux_core::ports::members::MemberState;
use flux_core::ports::peers::Local;
use flux_failover::Membership;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

use crate::monitor::Monitor;
use crate::running::Standing;

/// What the network asks this engine.
pub(crate) struct Own {
    pub shop: Arc<Shop>,
    pub concurrency: u32,
    pub monitor: Arc<Monitor>,
}

impl Local for Own {
    fn load(&self) -> Load {
        // Who is not to begin anything has no room.
        let concurrency = match self.shop.running.standing() {
            Standing::Full => self.concurrency,
            _ => 0,
        };
        Load {
            running: u32::try_from(self.shop.running.count()).unwrap_or(u32::MAX),
            concurrency,
            score: self.monitor.score(),
        }
    }

    fn nudged(&self) {
        self.shop.nudge.notify_one();
    }
}

/// Tells the network who is there, and notices when somebody has asked this engine to drain.
pub(crate) async fn follow(
    shop: Arc<Shop>,
    me: Incarnation,
    membership: Membership,
    drain: CancellationToken,
    end: CancellationToken,
) {
    let mut members = membership.members();
    loop {
        let changed = tokio::select! {
            biased;
            () = end.cancelled() => return,
            changed = members.changed() => changed,
        };
        if changed.is_err() {
            return;
        }
        let members = Arc::clone(&members.borrow_and_update());
        let mut all = members.iter();
        let own = all.find(|member| member.incarnation == me);
        if own.is_some_and(|own| own.state == MemberState::Draining) && !drain.is_cancelled() {
            tracing::info!(engine.id = %me, "somebody has asked this engine to drain");
            drain.cancel();
        }
        shop.peers.meet(&members);
    }
}
