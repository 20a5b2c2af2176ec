//! What every database has in common, compiled once for each.
//!
//! A database brings its connection [`Conn`], an [`Opener`] for it, the types of its identifiers
//! ([`Id`] in SQL, [`RawId`] in Rust), a [`runtime`] for the threads, the statements that only it
//! says so ([`dialect`]), what it does for many at once ([`batch`]), its way to keep others out
//! ([`lock`]), and how long a reader keeps a connection that nobody uses ([`within_patience`]).
//! Everything here is written on top of these.

use super::{Conn, Id, Opener, RawId, batch, dialect, lock, runtime, within_patience};

pub(crate) mod queries;
mod reader;
#[cfg(test)]
pub(crate) mod statements;
pub(crate) mod store;
mod thread;
pub(crate) mod writer;
