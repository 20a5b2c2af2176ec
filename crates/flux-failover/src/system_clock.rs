//! The clocks of this machine.

use flux_core::clock::{BootTime, Clock, Timestamp};
use rustix::time::{ClockId, Timespec, clock_gettime};
use std::time::SystemTime;

/// The real clocks. Boot time is `CLOCK_BOOTTIME`, which goes on while the machine sleeps;
/// `std::time::Instant` does not, and would let an engine trust itself after a long sleep.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    /// Asked for through the C library, so that tests can set it for one process.
    #[expect(clippy::disallowed_methods, reason = "this is the Clock port")]
    fn now(&self) -> Timestamp {
        let micros =
            |time: std::time::Duration| i64::try_from(time.as_micros()).unwrap_or(i64::MAX);
        match SystemTime::now().duration_since(SystemTime::UNIX_EPOCH) {
            Ok(since) => Timestamp::from_micros(micros(since)),
            Err(before) => Timestamp::from_micros(-micros(before.duration())),
        }
    }

    fn boot(&self) -> BootTime {
        let Timespec { tv_sec, tv_nsec } = clock_gettime(ClockId::Boottime);
        let positive = |part: i64| u64::try_from(part).unwrap_or(0);
        let secs = positive(tv_sec).saturating_mul(1_000_000_000);
        BootTime::from_nanos(secs.saturating_add(positive(tv_nsec)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clocks_run_forward_from_plausible_times() {
        let (now, boot) = (SystemClock.now(), SystemClock.boot());
        assert!(now.to_string().starts_with("20"), "{now}");
        assert!(boot.as_nanos() > 0);
        while SystemClock.boot() == boot || SystemClock.now() == now {}
        assert!(SystemClock.boot() > boot);
    }
}
