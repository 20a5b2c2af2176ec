//! The small interfaces through which the crates meet; wired in one file of the binary. The adapters live in other crates
//! and meet the rules only here.

pub mod branches;
pub mod definitions;
pub mod identity;
pub mod members;
pub mod operations;
pub mod peers;
pub mod runs;
pub mod throttles;

/// Why a port could not do what was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Not now: busy, or the connection is lost. The same call may succeed later; whether a
    /// change of this call took effect is not known.
    #[error("the store is not available: {0}")]
    Unavailable(String),
    /// Something stored cannot be read; the text says what and where.
    #[error("stored data cannot be read: {0}")]
    Corrupt(String),
    /// Whoever stands before the store does not do that; the text says why.
    #[error("{0}")]
    Refused(String),
    /// A fault of the adapter itself: trying again will not help.
    #[error("internal error: {0}")]
    Internal(String),
}

impl Error {
    /// Whether the same call may succeed later without anybody repairing something.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }
}
