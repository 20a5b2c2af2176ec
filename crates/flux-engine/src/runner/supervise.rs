//! The life of one child.

use super::family;
use super::protocol::{Order, Report, Start, frame, frames};
use rustix::process::{Pid, Signal, WaitOptions, WaitStatus, kill_process_group, wait};
use rustix::time::{ClockId, clock_gettime};
use std::io::{self, Write};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

/// The clocks are looked at this often at least: waits stand still while the machine sleeps.
const LONGEST_NAP: Duration = Duration::from_secs(1);
/// Between two looks at what is left of a family that is being killed.
const KILL_AGAIN: Duration = Duration::from_millis(5);
/// Looks before it gives up on processes that the system cannot end.
const KILLS: u32 = 1_000;

enum Event {
    Order(Order),
    /// The engine is gone.
    Closed,
    Reaped(Pid, WaitStatus),
    /// Nothing is left to wait for.
    Childless,
}

/// Why supervision ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    /// The child ended by itself; what it left behind is left alone, as a shell would.
    Itself,
    /// Everything is to be killed.
    Killed,
    /// The same, because the deadline passed.
    Expired,
}

pub(super) fn run(socket: UnixStream) -> io::Result<()> {
    // A session of our own: by it the engine finds the child if we are killed ourselves.
    rustix::process::setsid()?;
    // Orphans of the child then become ours, so that they can be found and reaped.
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?;
    let mut orders = frames::<Order>(socket.try_clone()?);
    let Some(Order::Start(start)) = orders.next() else {
        return Err(io::ErrorKind::InvalidData.into());
    };
    let mut reports = socket;
    let mut child = match spawn(&start) {
        Ok(child) => child,
        Err(error) => {
            let refused = Report::Refused(error.raw_os_error());
            return reports.write_all(&frame(&refused)?);
        }
    };
    let (sender, events) = channel();
    feed(&mut child, start.stdin);
    listen(orders, sender.clone());
    reap(sender);
    let mut supervisor = Supervisor {
        child: Pid::from_child(&child),
        events,
        until: start.until,
        kill_at: None,
        status: None,
    };
    let end = supervisor.watch();
    if end != End::Itself {
        supervisor.kill();
    }
    let ended = Report::Ended {
        status: supervisor.status.map_or(-1, WaitStatus::as_raw),
        expired: end == End::Expired,
    };
    reports.write_all(&frame(&ended)?)
}

fn spawn(start: &Start) -> io::Result<Child> {
    let mut command = Command::new(&start.program);
    command.args(&start.arguments);
    command.envs(start.environment.iter().map(|(name, value)| (name, value)));
    if let Some(directory) = &start.directory {
        command.current_dir(directory);
    }
    // The outputs are the engine's pipes, handed on as they are.
    command.stdin(match start.stdin {
        Some(_) => Stdio::piped(),
        None => Stdio::null(),
    });
    command.process_group(0).spawn()
}

/// On a thread of its own: a child need not read its input.
fn feed(child: &mut Child, input: Option<String>) {
    if let (Some(mut pipe), Some(input)) = (child.stdin.take(), input) {
        thread::spawn(move || pipe.write_all(input.as_bytes()));
    }
}

fn listen(orders: impl Iterator<Item = Order> + Send + 'static, events: Sender<Event>) {
    thread::spawn(move || {
        for order in orders {
            let _over = events.send(Event::Order(order));
        }
        let _over = events.send(Event::Closed);
    });
}

fn reap(events: Sender<Event>) {
    thread::spawn(move || {
        loop {
            match wait(WaitOptions::empty()) {
                Ok(Some((pid, status))) => {
                    let _over = events.send(Event::Reaped(pid, status));
                }
                Ok(None) | Err(rustix::io::Errno::INTR) => {}
                Err(_) => break,
            }
        }
        let _over = events.send(Event::Childless);
    });
}

struct Supervisor {
    child: Pid,
    events: Receiver<Event>,
    /// Boot time at which the engine's right ends.
    until: Option<u64>,
    /// Boot time at which an ordered end becomes a killing.
    kill_at: Option<u64>,
    status: Option<WaitStatus>,
}

impl Supervisor {
    /// Until the child has ended by itself, or everything is to be killed.
    fn watch(&mut self) -> End {
        loop {
            let now = boot();
            if self.until.is_some_and(|until| now >= until) {
                return End::Expired;
            }
            if self.kill_at.is_some_and(|kill_at| now >= kill_at) {
                return End::Killed;
            }
            let edge = self.until.into_iter().chain(self.kill_at).min();
            let nap = edge.map_or(LONGEST_NAP, |edge| Duration::from_nanos(edge - now));
            let Ok(event) = self.events.recv_timeout(nap.min(LONGEST_NAP)) else {
                continue;
            };
            if let Some(end) = self.take(event, now) {
                return end;
            }
        }
    }

    fn take(&mut self, event: Event, now: u64) -> Option<End> {
        match event {
            Event::Order(Order::Until(until)) => self.until = self.until.max(Some(until)),
            Event::Order(Order::End { grace_ms }) => {
                let _gone = kill_process_group(self.child, Signal::TERM);
                self.kill_at = Some(now.saturating_add(grace_ms.saturating_mul(1_000_000)));
            }
            Event::Order(Order::Start(_)) => {}
            Event::Closed => return Some(End::Killed),
            Event::Reaped(pid, status) if pid == self.child => {
                self.status = Some(status);
                // Once it is to end, its whole family is: those that are left have their grace.
                return self.kill_at.is_none().then_some(End::Itself);
            }
            Event::Reaped(..) => {}
            Event::Childless => return Some(End::Itself),
        }
        None
    }

    /// Until nothing of the family is left.
    fn kill(&mut self) {
        for _ in 0..KILLS {
            let _gone = self
                .status
                .is_none()
                .then(|| kill_process_group(self.child, Signal::KILL));
            let left = family::kill();
            if !left && self.status.is_some() {
                return;
            }
            match self.events.recv_timeout(KILL_AGAIN) {
                Ok(Event::Reaped(pid, status)) if pid == self.child => self.status = Some(status),
                _ => {}
            }
        }
    }
}

/// `CLOCK_BOOTTIME` in nanoseconds, as the engine reads it.
fn boot() -> u64 {
    let time = clock_gettime(ClockId::Boottime);
    let positive = |part: i64| u64::try_from(part).unwrap_or(0);
    positive(time.tv_sec)
        .saturating_mul(1_000_000_000)
        .saturating_add(positive(time.tv_nsec))
}
