//! Waiting for a predicate.

use std::time::{Duration, Instant};

/// Pause between two looks: short enough not to slow a test down, long enough to leave the
/// processor to what is waited for.
const PAUSE: Duration = Duration::from_millis(10);

/// Blocks until the predicate holds; panics with `what` when it does not within `timeout`.
#[track_caller]
pub fn wait_until(what: &str, timeout: Duration, mut predicate: impl FnMut() -> bool) {
    let start = Instant::now();
    while !predicate() {
        assert!(
            start.elapsed() < timeout,
            "waited {timeout:?} in vain until {what}"
        );
        pause();
    }
}

/// A moment, between two looks at what is waited for.
#[expect(
    clippy::disallowed_methods,
    reason = "every wait with a deadline is built on this"
)]
pub(crate) fn pause() {
    std::thread::sleep(PAUSE);
}

/// The same for asynchronous tests, whose other tasks go on meanwhile.
pub async fn wait_until_async(
    what: &str,
    timeout: Duration,
    mut predicate: impl AsyncFnMut() -> bool,
) {
    let start = Instant::now();
    while !predicate().await {
        assert!(
            start.elapsed() < timeout,
            "waited {timeout:?} in vain until {what}"
        );
        tokio::time::sleep(PAUSE).await;
    }
}
