//! A started process: its group, its pipes, its end.

use super::supervisor::{Ended, Supervisor};
use crate::action::capture::Captured;
use rustix::process::{Pid, Signal, kill_process_group};
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::process::ExitStatus;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::process::{Child, ChildStdin};
use tokio::time::timeout;

/// How long the outputs may stay open after the child has ended: somebody else holds them, such as
/// a daemon it started.
const LINGER: Duration = Duration::from_millis(250);

/// A started child, or its supervisor, with its pipes. The group comes first: it is dropped, and
/// killed, before the child, whose drop lets the system forget it.
pub(super) struct Running<'a> {
    group: Group,
    supervisor: Option<Supervisor>,
    child: Child,
    pipes: Pin<Box<dyn Future<Output = ()> + Send + 'a>>,
    open: bool,
}

impl<'a> Running<'a> {
    /// Takes over a child that has just started; feeds and drains its pipes.
    pub fn new(
        mut child: Child,
        supervisor: Option<Supervisor>,
        stdin: Option<&'a [u8]>,
        stdout: &'a mut Captured,
        stderr: &'a mut Captured,
    ) -> Running<'a> {
        let pipes = Box::pin(pipes(&mut child, stdin, stdout, stderr));
        Running {
            // A supervisor kills by itself; killing it would leave nobody to do so.
            group: supervisor
                .as_ref()
                .map_or_else(|| Group::of(&child), |_| Group(None)),
            supervisor,
            child,
            pipes,
            open: true,
        }
    }

    /// Until the child has ended by itself and its outputs are read.
    pub async fn finish(&mut self) -> io::Result<Ended> {
        let status = self.exit().await;
        self.group.forget();
        // Time runs out when another process holds a pipe; what it has to say is not awaited.
        let _ = timeout(LINGER, self.close()).await;
        match &self.supervisor {
            Some(supervisor) => supervisor.ended(status?),
            None => Ok(Ended::Status(status?)),
        }
    }

    /// Until nothing of the group is left.
    pub async fn end(&mut self, grace: Duration) {
        if let Some(supervisor) = &self.supervisor {
            supervisor.end(grace);
            // It kills what is left by itself, and ends when nothing is.
            let _ = self.exit().await;
            let _ = timeout(LINGER, self.close()).await;
            return;
        }
        self.group.signal(Signal::TERM);
        let gone = async {
            let _ = self.exit().await;
            self.close().await;
        };
        let _ = timeout(grace, gone).await;
        // Members may be left even when the leader and the pipes are gone. The group's id cannot
        // have passed to strangers: as long as a member is left it is taken, and if none is, the
        // system hands out all other ids before it comes back to one just freed.
        self.group.signal(Signal::KILL);
        let _ = self.child.wait().await;
        self.group.forget();
        // The pipes close when the last member is dead, unless one had left the group.
        let _ = timeout(LINGER, self.close()).await;
    }

    async fn exit(&mut self) -> io::Result<ExitStatus> {
        loop {
            tokio::select! {
                status = self.child.wait() => return status,
                () = &mut self.pipes, if self.open => self.open = false,
            }
        }
    }

    async fn close(&mut self) {
        if self.open {
            (&mut self.pipes).await;
            self.open = false;
        }
    }
}

/// The process group of a child; killed on drop unless it was forgotten.
struct Group(Option<Pid>);

impl Group {
    fn of(child: &Child) -> Group {
        let id = child.id().and_then(|id| i32::try_from(id).ok());
        Group(id.and_then(Pid::from_raw))
    }

    fn signal(&self, signal: Signal) {
        if let Some(group) = self.0 {
            // The error says that nobody is left.
            let _ = kill_process_group(group, signal);
        }
    }

    fn forget(&mut self) {
        self.0 = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
    }
}

/// Feeds and drains the three pipes at once, until all are closed.
fn pipes<'a>(
    child: &mut Child,
    stdin: Option<&'a [u8]>,
    stdout: &'a mut Captured,
    stderr: &'a mut Captured,
) -> impl Future<Output = ()> + Send + use<'a> {
    let feed = feed(child.stdin.take(), stdin.unwrap_or_default());
    let (out, err) = (child.stdout.take(), child.stderr.take());
    async move {
        tokio::join!(feed, stdout.drain(out), stderr.drain(err));
    }
}

async fn feed(pipe: Option<ChildStdin>, bytes: &[u8]) {
    if let Some(mut pipe) = pipe {
        // A process need not read all (or any) of its input.
        let _ = pipe.write_all(bytes).await;
    }
}
