//! The engine's end of a runner: starts it, tells it what to start, hears how it ended.

use super::{Command, Options, Request, identity};
use crate::action::leases::{Lease, Leases};
use crate::runner::{self, Order, Report, Start, frame, frames, kill_session};
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tokio::process::Child;

/// Looks for what a killed runner left behind, at most.
const KILLS: u32 = 100;

/// A runner that has been told what to start. Dropping it makes it kill everything.
pub(super) struct Supervisor {
    socket: UnixStream,
    /// Of the runner, which leads a session of its own.
    pid: Option<u32>,
    _lease: Lease,
}

/// How a supervised process ended.
pub(super) enum Ended {
    /// As the child did.
    Status(ExitStatus),
    /// It was killed because this engine's right to act had passed.
    Expired,
}

impl Supervisor {
    /// Starts a runner for the command. An error is about the runner, not about the command.
    pub fn start(
        program: &Path,
        command: &Command,
        options: &Options,
        request: &Request,
        leases: &Leases,
    ) -> io::Result<(Child, Supervisor)> {
        let (ours, theirs) = UnixStream::pair()?;
        let mut process = tokio::process::Command::new(program);
        process.arg0("flux").arg(runner::ARGUMENT);
        super::clean(&mut process);
        process
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let child = process.spawn()?;
        let input = options.stdin.as_deref();
        let mut environment = options.environment.clone();
        let identity = identity(request).into_iter();
        environment.extend(identity.map(|(name, value)| (name.to_owned(), value)));
        let start = Start {
            program: command.program.clone(),
            arguments: command.arguments.clone(),
            environment,
            directory: options.directory.clone(),
            stdin: input.map(|bytes| String::from_utf8_lossy(bytes).into_owned()),
            until: leases.until().map(flux_core::clock::BootTime::as_nanos),
        };
        // A few microseconds, and milliseconds for megabytes: the runner does nothing but read.
        (&ours).write_all(&frame(&Order::Start(Box::new(start)))?)?;
        ours.set_nonblocking(true)?;
        let lease = leases.add(ours.try_clone()?);
        let supervisor = Supervisor {
            socket: ours,
            pid: child.id(),
            _lease: lease,
        };
        Ok((child, supervisor))
    }

    /// Asks it to end everything: SIGTERM, and SIGKILL after the grace.
    pub fn end(&self, grace: Duration) {
        let grace_ms = u64::try_from(grace.as_millis()).unwrap_or(u64::MAX);
        if let Ok(frame) = frame(&Order::End { grace_ms }) {
            // Whoever does not read is at its end anyway.
            let _gone = (&self.socket).write_all(&frame);
        }
    }

    /// What it reported, once it has ended with `status`.
    pub fn ended(&self, status: ExitStatus) -> io::Result<Ended> {
        match frames::<Report>(&self.socket).next() {
            Some(Report::Refused(Some(number))) => {
                return Err(io::Error::from_raw_os_error(number));
            }
            Some(Report::Refused(None)) => return Err(io::ErrorKind::InvalidInput.into()),
            Some(Report::Ended { expired: true, .. }) => return Ok(Ended::Expired),
            Some(Report::Ended { status, .. }) => {
                return Ok(Ended::Status(ExitStatus::from_raw(status)));
            }
            None => {}
        }
        // Killed before it could kill: then that falls to us, as far as we can see.
        let session = self.pid.and_then(|pid| i32::try_from(pid).ok());
        if let Some(session) = session {
            // Each may just have started another; what the system cannot end is left to it.
            let _left = (0..KILLS).all(|_| kill_session(session));
        }
        Err(io::Error::other(format!("its supervisor ended: {status}")))
    }
}
