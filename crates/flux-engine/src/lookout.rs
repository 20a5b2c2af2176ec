//! The lookout: while an engine has nothing to do, this is all that it asks the store for. It looks for
//! work that nobody has told of, and wakes who does it when its time has come.

use crate::shop::Shop;
use flux_core::clock::Timestamp;
use flux_core::ids::Incarnation;
use flux_core::labels::is_private;
use flux_core::ports::branches::Outlook;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Engines fire schedules so far apart at most: one of them does it, and the others see that it is done.
const SPREAD: u64 = 100;

pub(crate) struct Lookout {
    pub shop: Arc<Shop>,
    pub me: Incarnation,
    pub pool: Option<String>,
    /// How often to look.
    pub every: Duration,
    pub end: CancellationToken,
}

impl Lookout {
    pub async fn run(self) {
        while !self.end.is_cancelled() {
            let now = self.shop.host.now();
            let next = match self.shop.branches.outlook(self.pool.clone(), now).await {
                Ok(outlook) => self.tell(&outlook, now),
                Err(error) => {
                    tracing::debug!("cannot look for work: {error}");
                    None
                }
            };
            tokio::select! {
                biased;
                () = self.end.cancelled() => {}
                () = self.shop.look.notified() => {}
                () = self.shop.host.sleep(self.pause(next)) => {}
            }
        }
    }

    /// Wakes whoever has something to do; when somebody has, next.
    fn tell(&self, outlook: &Outlook, now: Timestamp) -> Option<Timestamp> {
        let next_firing = (outlook.next_firing)
            .filter(|_| !is_private(self.pool.as_deref()))
            .map(|due| due.plus(self.place()));
        if outlook.ready {
            self.shop.untold.store(true, Ordering::Relaxed);
            self.shop.nudge.notify_one();
        }
        if next_firing.is_some_and(|due| due <= now) {
            self.shop.firing.notify_one();
        }
        let later = [outlook.next_due, next_firing].into_iter().flatten();
        later.filter(|due| *due > now).min()
    }

    fn pause(&self, next: Option<Timestamp>) -> Duration {
        let now = self.shop.host.now();
        let least = Duration::from_millis(1);
        next.map_or(self.every, |due| due.since(now).clamp(least, self.every))
    }

    /// Its own moment among the engines that fire.
    fn place(&self) -> Duration {
        Duration::from_millis((self.me.uuid().as_u128() as u64) % SPREAD)
    }
}
