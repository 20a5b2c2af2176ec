//! What operators need of the store to limit what runs at the same time.

use super::Error;
use crate::throttle::Throttle;
use async_trait::async_trait;

/// A throttle and the use that is made of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ThrottleRecord {
    /// What it holds back, and its limits.
    pub throttle: Throttle,
    /// Engines that run branches of its scope, by name, each with the number of those.
    pub holders: Vec<(String, u32)>,
    /// Ready branches that were seen to have no slot; counted up to 10,000.
    pub waiting: u32,
}

/// The limits on what runs at the same time; claims obey them.
#[async_trait]
pub trait Throttles: Send + Sync {
    /// Sets the limits of a scope; none removes its throttle. They hold for what is claimed from now
    /// on: what runs goes on, and counts.
    async fn throttle(&self, throttle: Throttle) -> Result<(), Error>;

    /// All throttles, by scope, with who holds their slots.
    async fn throttles(&self) -> Result<Vec<ThrottleRecord>, Error>;
}
