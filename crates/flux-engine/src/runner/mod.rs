//! The supervisor of one action's process: a small program of its own, which outlives the engine
//! for as long as it takes to kill what the action started.
//!
//! The engine starts its own binary as `flux __runner` with a socket as standard input. It ends
//! with its child, or kills everything that the child started
//! - when the socket closes: the engine is dead,
//! - when the deadline that the engine renews passes: the engine is frozen or cut off, and the
//!   others may soon run the action again,
//! - when the engine says so.
//!
//! ```text
//!   engine ==orders==> runner --SIGKILL--> child, its group, and all they started
//!          <==reports=        <--reaps---
//! ```
//! It has no runtime and reads no settings. As the *subreaper* of its descendants it also finds
//! those that left the group of the child for a session of their own.

mod family;
mod protocol;
mod supervise;

pub(crate) use family::kill_session;
pub(crate) use protocol::{Order, Report, Start, frame, frames};

use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;

/// The argument by which the binary knows that it is to be a runner.
pub const ARGUMENT: &str = "__runner";

/// Runs as the supervisor that an engine started; the exit code of the process.
#[must_use]
pub fn main() -> u8 {
    let socket = io::stdin()
        .as_fd()
        .try_clone_to_owned()
        .map(UnixStream::from);
    match socket.and_then(supervise::run) {
        Ok(()) => 0,
        // The engine reads the lack of a report as a failure; there is nobody else to tell.
        Err(_) => 1,
    }
}
