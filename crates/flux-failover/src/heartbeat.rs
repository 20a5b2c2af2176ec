//! The proof that this engine is alive, kept apart from everything that could delay it.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::sync::Arc;
use std::time::Duration;

use flux_core::clock::BootTime;
use flux_core::host::{Host, within};
use flux_core::ids::Incarnation;
use flux_core::ownership::{Timing, Trust};
use flux_core::ports::Error;
use flux_core::ports::members::Members;
use tokio::sync::watch;
use tracing::{debug, info, warn};

use crate::EVIDENCE;
use crate::trust::TrustHandle;

/// A heartbeat that goes on until it is dropped or its incarnation is at its end.
///
/// It runs apart and on a connection of its own: work that starves the engine's runtime or its
/// connections must not make the engine look dead.
#[derive(Debug)]
pub struct Heartbeat {
    stop: watch::Sender<bool>,
}

impl Heartbeat {
    /// Starts beating for `me`. `connect` is run where the heartbeat runs.
    ///
    /// # Errors
    /// If the system refuses a thread.
    pub fn start(
        me: Incarnation,
        timing: Timing,
        connect: impl FnOnce() -> Arc<dyn Members> + Send + 'static,
        host: Arc<dyn Host>,
        trust: TrustHandle,
    ) -> io::Result<Self> {
        let (stop, stopped) = watch::channel(false);
        let watch = trust.clone().watch_over(host.clone(), stopped.clone());
        host.spawn_apart("flux-watchdog", Box::pin(watch))?;
        let beating = host.clone();
        let beat = async move {
            let beat = Beat {
                me,
                timing,
                members: connect(),
                host: beating,
                trust,
                count: 0,
                failing: false,
            };
            beat.until(stopped).await;
        };
        host.spawn_apart("flux-heartbeat", Box::pin(beat))?;
        Ok(Self { stop })
    }
}

impl Drop for Heartbeat {
    fn drop(&mut self) {
        self.stop.send_replace(true);
    }
}

struct Beat {
    me: Incarnation,
    timing: Timing,
    members: Arc<dyn Members>,
    host: Arc<dyn Host>,
    trust: TrustHandle,
    /// Successes so far.
    count: u64,
    /// Whether the last one failed, which has been said then.
    failing: bool,
}

impl Beat {
    async fn until(mut self, mut stopped: watch::Receiver<bool>) {
        tokio::select! {
            biased;
            _ = stopped.wait_for(|stop| *stop) => {}
            () = self.run() => {}
        }
    }

    async fn run(&mut self) {
        while let Some(pause) = self.once().await {
            self.host.sleep(pause).await;
            if self.trust.state() == Trust::Lost {
                return;
            }
        }
    }

    /// One heartbeat, and how long to pause after it; `None` when this incarnation is at its end.
    async fn once(&mut self) -> Option<Duration> {
        // Before sending: the store may apply it at any moment from now on.
        let sent = self.host.boot();
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
            sent_ns = sent.as_nanos(), boot_ns = self.host.boot().as_nanos(),
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
        Some(period.saturating_sub(self.host.boot().since(sent)))
    }

    async fn beat(&self) -> Result<bool, Error> {
        let beat = self.members.heartbeat(self.me, self.host.now());
        let answer = within(&*self.host, self.timing.heartbeat_answer, beat).await;
        answer.unwrap_or_else(|| Err(Error::Unavailable("no answer in time".to_owned())))
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
