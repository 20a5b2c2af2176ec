//! The engine on a real store: language, conformance, recovery.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::print_stderr, reason = "a test says what it skips")]

mod conformance;
mod harness;
mod language;
mod promotion;
mod recovery;
mod usher;
