//! The trust of the present incarnation, shared by everything that acts in its name.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use flux_core::clock::{BootTime, Clock};
use flux_core::host::Host;
use flux_core::ownership::{Timing, Trust, TrustWindow};
use tokio::sync::watch;

/// The watchdog looks at least this often, and once in every heartbeat period: timers stand
/// still while the machine sleeps, and after waking up the loss must not go unnoticed for the rest
/// of a long wait. A nap that began before the first heartbeat ends before its trust fades.
const LONGEST_NAP: Duration = Duration::from_secs(1);

/// Why an incarnation is at its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// Another engine declared it dead, or its row is gone.
    Convicted,
    /// Its heartbeats have not succeeded for too long.
    Silent,
}

/// The trust of one incarnation. Clones share it; [`state`](Self::state) costs a clock reading.
#[derive(Clone)]
pub struct TrustHandle {
    shared: Arc<Shared>,
}

struct Shared {
    clock: Arc<dyn Clock>,
    longest_nap: Duration,
    // Held for a few instructions and never while waiting for anything.
    inner: Mutex<Inner>,
    published: watch::Sender<Trust>,
    dead_line: Duration,
    lives_until: watch::Sender<Option<BootTime>>,
}

struct Inner {
    window: TrustWindow,
    loss: Option<Loss>,
}

impl TrustHandle {
    /// The trust of an incarnation that has not beaten yet: none to start anything.
    #[must_use]
    pub fn new(timing: Timing, clock: Arc<dyn Clock>) -> Self {
        let inner = Inner {
            window: TrustWindow::new(timing),
            loss: None,
        };
        Self {
            shared: Arc::new(Shared {
                clock,
                longest_nap: LONGEST_NAP.min(timing.heartbeat),
                inner: Mutex::new(inner),
                published: watch::Sender::new(Trust::NoNewActions),
                dead_line: timing.dead_line,
                lives_until: watch::Sender::new(None),
            }),
        }
    }

    /// The trust at this moment, computed from the clock and not from what was last published.
    /// Once this has returned [`Trust::Lost`], it always does.
    #[must_use]
    pub fn state(&self) -> Trust {
        let trust = {
            let mut inner = self.lock();
            let trust = inner.window.state(self.shared.clock.boot());
            if trust == Trust::Lost {
                inner.lose(Loss::Silent);
            }
            trust
        };
        self.publish(trust)
    }

    /// Follows the trust as it is published at every change.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<Trust> {
        self.shared.published.subscribe()
    }

    /// Follows the boot time by which everything that this incarnation runs must be dead, unless
    /// another heartbeat succeeds before. `None` before the first; it never goes back.
    #[must_use]
    pub fn lives_until(&self) -> watch::Receiver<Option<BootTime>> {
        self.shared.lives_until.subscribe()
    }

    /// Waits until the trust is lost, and says why.
    pub async fn lost(&self) -> Loss {
        let mut published = self.subscribe();
        // The sender lives in `self`, so waiting cannot fail before the loss.
        let _ = published.wait_for(|trust| *trust == Trust::Lost).await;
        self.loss().unwrap_or(Loss::Silent)
    }

    /// Why the trust was lost, if it was.
    #[must_use]
    pub fn loss(&self) -> Option<Loss> {
        self.lock().loss
    }

    /// A heartbeat that was sent at `sent`, a boot time read before sending, has succeeded.
    pub(crate) fn renew(&self, sent: BootTime) -> Trust {
        let trust = {
            let mut inner = self.lock();
            let trust = inner.window.renew(sent, self.shared.clock.boot());
            if trust == Trust::Lost {
                inner.lose(Loss::Silent);
            }
            trust
        };
        if trust != Trust::Lost {
            let until = Some(sent.plus(self.shared.dead_line));
            self.shared.lives_until.send_if_modified(|published| {
                let later = until > *published;
                *published = until.max(*published);
                later
            });
        }
        self.publish(trust)
    }

    /// The store said that this incarnation is dead or gone.
    pub(crate) fn fence(&self) {
        self.lock().lose(Loss::Convicted);
        self.publish(Trust::Lost);
    }

    /// The engine has stopped everything, and acts no more as this incarnation.
    pub(crate) fn give_up(&self) {
        self.lock().lose(Loss::Silent);
        self.publish(Trust::Lost);
    }

    /// Publishes every change until the trust is lost or `stop` says so.
    pub(crate) async fn watch_over(self, host: Arc<dyn Host>, mut stop: watch::Receiver<bool>) {
        while self.state() != Trust::Lost {
            let until = self.lock().window.until_change(self.shared.clock.boot());
            let longest = self.shared.longest_nap;
            tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop) => return,
                () = host.sleep(until.unwrap_or(longest).min(longest)) => {}
            }
        }
    }

    fn publish(&self, trust: Trust) -> Trust {
        // Lost is final, also for a reader that computed its state just before the loss.
        self.shared.published.send_if_modified(|published| {
            let changed = *published != trust && *published != Trust::Lost;
            if changed {
                *published = trust;
            }
            changed
        });
        trust
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        let lock = self.shared.inner.lock();
        lock.unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn lose(&mut self, why: Loss) {
        self.window.fence();
        self.loss.get_or_insert(why);
    }
}

impl fmt::Debug for TrustHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TrustHandle").field(&self.state()).finish()
    }
}

#[cfg(test)]
mod tests {
    use flux_core::clock::ManualClock;

    use super::*;
    use crate::SystemHost;

    fn trust() -> (TrustHandle, Arc<ManualClock>) {
        let clock = Arc::new(ManualClock::default());
        clock.advance(Duration::from_secs(1000));
        let timing = Timing::of(Duration::from_secs(180));
        (TrustHandle::new(timing, clock.clone()), clock)
    }

    #[test]
    fn nothing_is_trusted_before_the_first_heartbeat() {
        let (trust, clock) = trust();
        assert_eq!(trust.state(), Trust::NoNewActions);
        assert_eq!(trust.renew(clock.boot()), Trust::Full);
        assert_eq!(trust.loss(), None);
    }

    #[tokio::test]
    async fn a_loss_is_published_and_final() {
        let (trust, clock) = trust();
        trust.renew(clock.boot());
        clock.advance(Duration::from_secs(162));
        assert_eq!(trust.state(), Trust::Lost);
        assert_eq!(trust.renew(clock.boot()), Trust::Lost);
        assert_eq!(trust.lost().await, Loss::Silent);
        trust.fence();
        assert_eq!(trust.loss(), Some(Loss::Silent));
    }

    #[tokio::test]
    async fn a_conviction_is_a_loss_at_once() {
        let (trust, clock) = trust();
        trust.renew(clock.boot());
        trust.fence();
        assert_eq!(trust.state(), Trust::Lost);
        assert_eq!(trust.lost().await, Loss::Convicted);
    }

    #[test]
    fn what_runs_lives_until_the_dead_line_of_the_last_success() {
        let (trust, clock) = trust();
        let lives_until = trust.lives_until();
        assert_eq!(*lives_until.borrow(), None);
        let sent = clock.boot();
        clock.advance(Duration::from_secs(20));
        trust.renew(sent);
        let until = Some(sent.plus(Duration::from_secs(162)));
        assert_eq!(*lives_until.borrow(), until);
        clock.advance(Duration::from_secs(142));
        trust.renew(clock.boot());
        assert_eq!(
            *lives_until.borrow(),
            until,
            "a late answer prolongs nothing"
        );
    }

    #[tokio::test]
    async fn the_watchdog_publishes_what_nobody_asks_for() {
        let (trust, clock) = trust();
        trust.renew(clock.boot());
        clock.advance(Duration::from_secs(500));
        let (_stop, stopped) = watch::channel(false);
        trust
            .clone()
            .watch_over(Arc::new(SystemHost), stopped)
            .await;
        assert_eq!(*trust.subscribe().borrow(), Trust::Lost);
    }
}
