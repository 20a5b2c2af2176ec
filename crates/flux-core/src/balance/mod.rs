//! Spreading the work: how many of the ready branches one engine may claim now, from its own load
//! and the latest load reports of the others.
//!
//! ```text
//!  load reports ──► Balancer ──► who should take how many (fill) ──► my part: claim it now
//!                                                          └──────► the rest: leave it, for a
//!                                                                   grace; then take it anyway
//! ```
//! There is no leader and no assignment: every engine computes the same plan for all of them, and
//! takes its own part of it. Correctness is the store's. A report is a hint that is never needed: one
//! that is late, lost, wrong or forged costs balance, and a ready branch its grace, nothing more.

mod balancer;
mod fill;
mod load;

pub use balancer::{Balancer, GRACE, Share};
pub use fill::takers;
pub use load::{Load, Report, Score};

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
