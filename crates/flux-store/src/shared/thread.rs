//! Threads that talk to the database, each with a runtime of its own: nothing that the engine does
//! can keep them from their work.

use std::future::Future;

use super::runtime;

/// Starts a thread that works until what `work` makes has ended.
pub(crate) fn start<F: Future<Output = ()>>(
    name: String,
    work: impl FnOnce() -> F + Send + 'static,
) {
    let said = name.clone();
    let run = move || match runtime() {
        Ok(runtime) => runtime.block_on(work()),
        Err(error) => tracing::error!("cannot start the store's thread {name}: {error}"),
    };
    // Without the thread every request is answered as unavailable: nobody receives it.
    if let Err(error) = std::thread::Builder::new().name(said).spawn(run) {
        tracing::error!("cannot start a thread of the store: {error}");
    }
}
