//! The engine on a real store: language, conformance, recovery.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod conformance;
mod harness;
mod language;
mod recovery;
