//! A store in memory: all four ports on plain data under one mutex.
//!
//! It is written to be read beside the ports' documentation, and to be the same each time: it has
//! no clock, no randomness, no thread, and everything in it is kept in order.
//!
//! ```text
//!   ports.rs        the ports: lock, call, answer
//!   state.rs        what is kept
//!   claim.rs commit.rs cancel.rs wait.rs signal.rs submit.rs members.rs   what changes it
//!   look.rs         what only reads it
//! ```

mod cancel;
mod claim;
mod commit;
mod look;
mod members;
mod ports;
mod signal;
mod state;
mod submit;
mod wait;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A store in memory. Clones share what is stored.
#[derive(Clone, Default)]
pub struct MemoryStore(Arc<Mutex<state::State>>);

impl MemoryStore {
    fn lock(&self) -> MutexGuard<'_, state::State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
