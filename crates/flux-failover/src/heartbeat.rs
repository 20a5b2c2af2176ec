//! The proof that this engine is alive, kept apart from everything that could delay it.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use flux_core::clock::{BootTime, Clock};
use flux_core::ids::Incarnation;
use flux_core::ownership::{Timing, Trust};
use flux_core::ports::Error;
use flux_core::ports::members::Members;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tracing::{debug, info, warn};

use crate::EVIDENCE;
use crate::trust::TrustHandle;

/// A heartbeat that goes on until it is dropped or its incarnation is at its end.
///
/// It has a thread, a runtime and a connection of its own: work that starves the engine's
/// runtime or its connections must not make the engine look dead.
#[derive(Debug)]
pub struct Heartbeat {
    stop: watch::Sender<bool>,
    watchdog: thread::Thread,
}

impl Heartbeat {
    /// Starts beating for `me`. `connect` is run on the heartbeat's own thread.
    ///
    /// # Errors
    /// If the system refuses a thread or a runtime.
    pub fn start(
        me: Incarnation,
        timing: Timing,
        connect: impl FnOnce() -> Arc<dyn Members> + Send + 'static,
        clock: Arc<dyn Clock>,
        trust: TrustHandle,
    ) -> io::Result<Self> {
        let (stop, stopped) = watch::channel(false);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let (watched, until) = (trust.clone(), stopped.clone());
        let watchdog = thread::Builder::new()
            .name("flux-watchdog".to_owned())
            .spawn(move || watched.watch_over(&until))?;
        thread::Builder::new()
            .name("flux-heartbeat".to_owned())
            .spawn(move || {
                runtime.block_on(async move {
                    let beat = Beat {
                        me,
                        timing,
                        members: connect(),
                        clock,
                        trust,
                        count: 0,
                        failing: false,
                    };
                    beat.until(stopped).await;
                });
                // A call that hangs on a blocking thread must not keep this one.
                runtime.shutdown_background();
            })?;
        Ok(Self {
            stop,
            watchdog: watchdog.thread().clone(),
        })
    }
}

impl Drop for Heartbeat {
    fn drop(&mut self) {
        self.stop.send_replace(true);
        self.watchdog.unpark();
    }
}

struct Beat {
    me: Incarnation,
    timing: Timing,
    members: Arc<dyn Members>,
    clock: Arc<dyn Clock>,
    trust: TrustHandle,
    /// Successes so far.
    count: u64,
    /// Whether the last one failed, which has been said then.
    failing: bool,
}

impl Beat {
    async fn until(mut self, mut stopped: watch::Receiver<bool>) {
        tokio::select! {
            () = self.run() => {}
            _ = stopped.wait_for(|stop| *stop) => {}
        }
    }

    async fn run(&mut self) {
        while let Some(pause) = self.once().await {
            sleep(pause).await;
            if self.trust.state() == Trust::Lost {
                return;
            }
        }
    }

    /// One heartbeat, and how long to pause after it; `None` when this incarnation is at its end.
    async fn once(&mut self) -> Option<Duration> {
        // Before sending: the store may apply it at any moment from now on.
        let sent = self.clock.boot();
        match self.beat().await {
            Ok(true) => self.succeeded(sent),
            Ok(false) => {
                warn!(engine.id = %self.me, "this engine was declared dead");
                self.trust.fence();
                None
            }
            Err(error) => {
                let known = std::mem::replace(&mut self.failing, true);
                self.report(&error, known);
                Some(self.timing.heartbeat_retry)
            }
        }
    }

    fn succeeded(&mut self, sent: BootTime) -> Option<Duration> {
        let trust = self.trust.renew(sent);
        debug!(
            target: EVIDENCE, event = "heartbeat", engine.id = %self.me,
            sent_ns = sent.as_nanos(), boot_ns = self.clock.boot().as_nanos(),
            "a heartbeat succeeded"
        );
        if trust == Trust::Lost {
            warn!(engine.id = %self.me, "a heartbeat was answered too late");
            return None;
        }
        if std::mem::take(&mut self.failing) {
            info!(engine.id = %self.me, "the heartbeat succeeds again");
        }
        self.count += 1;
        let period = jittered(self.timing.heartbeat, self.me, self.count);
        Some(period.saturating_sub(self.clock.boot().since(sent)))
    }

    async fn beat(&self) -> Result<bool, Error> {
        let beat = self.members.heartbeat(self.me, self.clock.now());
        let answer = timeout(self.timing.heartbeat_answer, beat).await;
        answer.unwrap_or_else(|_| Err(Error::Unavailable("no answer in time".to_owned())))
    }

    /// Says once that it fails, not at every try.
    fn report(&self, error: &Error, known: bool) {
        if known {
            debug!(engine.id = %self.me, %error, "the heartbeat still fails");
        } else {
            warn!(engine.id = %self.me, %error, "the heartbeat fails; it is tried again");
        }
    }
}

/// Between 0.9 and 1.0 of `period`, so that engines started together do not beat together.
fn jittered(period: Duration, me: Incarnation, count: u64) -> Duration {
    let mut hasher = DefaultHasher::new();
    (me, count).hash(&mut hasher);
    let permille = u32::try_from(hasher.finish() % 101).unwrap_or(0);
    period / 1000 * (900 + permille)
}

#[cfg(test)]
mod tests;
