//! The machine and the process that an engine runs in: all by which two lives of the same engine
//! could differ, apart from the store and the outside that its actions reach.
//!
//! The real one is `flux_failover::SystemHost`. A simulation brings its own, on which time passes
//! as it likes, and so replays a life exactly.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::time::Duration;

use uuid::Uuid;

use crate::clock::Clock;

/// Something that a host runs to its end.
pub type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Time, timers, tasks and fresh names.
pub trait Host: Clock {
    /// Is done after `by` has passed; not before, and perhaps a little later.
    fn sleep(&self, by: Duration) -> Task;

    /// Runs `task` beside the other tasks of this engine. A panic ends that task only.
    fn spawn(&self, task: Task);

    /// Runs `task` where the engine's other tasks cannot delay it.
    ///
    /// # Errors
    /// When the system refuses a thread.
    fn spawn_apart(&self, name: &'static str, task: Task) -> io::Result<()>;

    /// An identifier that nobody has used; later ones sort after earlier ones.
    fn fresh_id(&self) -> Uuid;
}

/// What `call` answers within `limit`; `None` when it does not, and the call is dropped.
pub async fn within<T>(
    host: &dyn Host,
    limit: Duration,
    call: impl Future<Output = T>,
) -> Option<T> {
    let mut call = std::pin::pin!(call);
    let mut over = host.sleep(limit);
    std::future::poll_fn(|cx| match call.as_mut().poll(cx) {
        std::task::Poll::Ready(answer) => std::task::Poll::Ready(Some(answer)),
        std::task::Poll::Pending => over.as_mut().poll(cx).map(|()| None),
    })
    .await
}
