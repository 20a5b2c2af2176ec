//! Waiting for a predicate, and numbers that nobody else has.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::time::{Duration, Instant};

/// Longest wait for anything; nothing waits for it when all is well.
const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(5);

/// Blocks until the predicate holds; an error with `what` when it does not in time.
pub(crate) fn wait_for(what: &str, mut predicate: impl FnMut() -> bool) -> Result<(), String> {
    let start = Instant::now();
    while !predicate() {
        if start.elapsed() > PATIENCE {
            return Err(format!("waited {PATIENCE:?} in vain until {what}"));
        }
        pause();
    }
    Ok(())
}

/// A number for names and ports: different in each process and at each call.
pub(crate) fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}

#[expect(
    clippy::disallowed_methods,
    reason = "every wait with a deadline is built on this"
)]
fn pause() {
    std::thread::sleep(PAUSE);
}
