//! The machine under a simulated engine: its clocks, which are wrong, and its process.

use crate::world::{Instant, Owner, World};
use flux_core::clock::{BootTime, Clock, Timestamp};
use flux_core::host::{Host, Task};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;
use uuid::Uuid;

/// The calendar at the beginning of each life, in microseconds: some day in 2026.
const BEGINNING: i64 = 1_780_000_000_000_000;
const MILLION: u128 = 1_000_000;

/// The clocks of one machine.
pub struct Clocks {
    /// How fast they run, in millionths of true time.
    pub rate: u64,
    /// Boot time at the beginning of the life.
    pub boot_offset: Duration,
    /// How far the calendar is off, in microseconds; it may jump.
    pub calendar_offset: AtomicI64,
    /// A broken clock: boot time stands still.
    pub stuck: AtomicBool,
}

impl Clocks {
    pub fn right() -> Clocks {
        Clocks {
            rate: 1_000_000,
            boot_offset: Duration::ZERO,
            calendar_offset: AtomicI64::new(0),
            stuck: AtomicBool::new(false),
        }
    }

    /// What these clocks count while `true_time` passes.
    pub fn counted(&self, true_time: Instant) -> u64 {
        (u128::from(true_time) * u128::from(self.rate) / MILLION) as u64
    }

    /// How much true time passes until these clocks have counted `by`.
    pub fn true_time(&self, by: Duration) -> Duration {
        let nanos = (by.as_nanos() * MILLION).div_ceil(u128::from(self.rate));
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX / 4))
    }

    pub fn boot(&self, now: Instant) -> BootTime {
        let counted = match self.stuck.load(Ordering::Relaxed) {
            true => 0,
            false => self.counted(now),
        };
        BootTime::from_nanos(counted).plus(self.boot_offset)
    }

    pub fn calendar(&self, now: Instant) -> Timestamp {
        let offset = self.calendar_offset.load(Ordering::Relaxed);
        Timestamp::from_micros(BEGINNING + offset + (self.counted(now) / 1000) as i64)
    }
}

/// One process on a machine.
pub struct SimHost {
    pub world: Arc<World>,
    pub clocks: Arc<Clocks>,
    pub process: u32,
}

impl Clock for SimHost {
    fn now(&self) -> Timestamp {
        self.clocks.calendar(self.world.now())
    }

    fn boot(&self) -> BootTime {
        self.clocks.boot(self.world.now())
    }
}

impl Host for SimHost {
    fn sleep(&self, by: Duration) -> Task {
        Box::pin(self.world.sleep(self.clocks.true_time(by)))
    }

    fn spawn(&self, task: Task) {
        let owner = Owner {
            process: self.process,
            apart: false,
        };
        self.world.spawn(owner, task);
    }

    fn spawn_apart(&self, _name: &'static str, task: Task) -> io::Result<()> {
        let owner = Owner {
            process: self.process,
            apart: true,
        };
        self.world.spawn(owner, task);
        Ok(())
    }

    fn fresh_id(&self) -> Uuid {
        Uuid::from_u128(u128::from(self.world.serial()) << 64)
    }
}
