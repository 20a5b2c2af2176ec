//! The small interfaces through which the crates meet; wired in one file of the binary.

pub mod branches;
pub mod definitions;
pub mod runs;
