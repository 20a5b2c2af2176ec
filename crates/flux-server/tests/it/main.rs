//! The server as its clients meet it: a real one, on a real port and store.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod access;
mod cluster;
mod errors;
mod health;
mod limits;
mod rig;
mod runs;
mod watch;
mod workflows;
