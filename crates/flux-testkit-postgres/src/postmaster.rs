//! The server's main process and its backends: started, signalled, ended.

use crate::programs::run;
use crate::wait::wait_for;
use std::fs::{File, OpenOptions, read_dir, read_to_string};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command};

/// How a server ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Open transactions are rolled back, clients are told, everything is written.
    Fast,
    /// All processes stop at once; the next start recovers from the log.
    Immediate,
    /// SIGKILL to every process: nobody says goodbye.
    Kill,
}

/// A running server.
#[derive(Debug)]
pub(crate) struct Postmaster {
    child: Child,
}

impl Postmaster {
    /// Starts it and waits until it takes connections; its log when it does not.
    pub(crate) fn start(mut command: Command, data: &Path, log: &Path) -> Result<Self, String> {
        let told = |error: String| format!("{error}\n{}", read_to_string(log).unwrap_or_default());
        let (out, err) = open(log).map_err(|error| told(error.to_string()))?;
        let child = command
            .arg("-D")
            .arg(data)
            .stdout(out)
            .stderr(err)
            .process_group(0)
            .spawn()
            .map_err(|error| format!("cannot start {command:?}: {error}"))?;
        let mut postmaster = Postmaster { child };
        let mut ended = None;
        wait_for("the server is ready", || {
            ended = postmaster.child.try_wait().ok().flatten();
            ended.is_some() || postmaster.ready(data)
        })
        .map_err(told)?;
        match ended {
            Some(status) => Err(told(format!("the server ended ({status})"))),
            None => Ok(postmaster),
        }
    }

    /// Ends it and waits until nothing of it is left.
    pub(crate) fn stop(mut self, mode: Mode) -> Result<(), String> {
        if mode == Mode::Kill {
            // First, so that it starts no process that the list below does not have: one that is left
            // alive keeps the memory that they share, and no server can be started again.
            signal("STOP", &[self.child.id()])?;
        }
        let everybody = self.processes();
        match mode {
            Mode::Fast => signal("INT", &everybody[..1])?,
            Mode::Immediate => signal("QUIT", &everybody[..1])?,
            Mode::Kill => signal("KILL", &everybody)?,
        }
        wait_for("the server has ended", || {
            let ended = self.child.try_wait().is_ok_and(|status| status.is_some());
            ended && !everybody.iter().any(|process| alive(*process))
        })
    }

    /// Reaps a server that something else ends.
    pub(crate) fn reap(mut self) {
        let _ = self.child.wait();
    }

    /// Stops all processes where they are; the first stops first, so that it starts no other.
    pub(crate) fn freeze(&self) -> Result<(), String> {
        signal("STOP", &[self.child.id()])?;
        signal("STOP", &self.processes())
    }

    /// Lets them go on.
    pub(crate) fn thaw(&self) -> Result<(), String> {
        signal("CONT", &self.processes())
    }

    /// Reads the settings again.
    pub(crate) fn reload(&self) -> Result<(), String> {
        signal("HUP", &[self.child.id()])
    }

    /// The main process and then its children.
    fn processes(&self) -> Vec<u32> {
        let parent = self.child.id();
        let numbers = read_dir("/proc").into_iter().flatten().flatten();
        let numbers = numbers.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        let children = numbers.filter(|process| status(*process).is_some_and(|s| s.1 == parent));
        std::iter::once(parent).chain(children).collect()
    }

    /// The server says so in the last line of its lock file, as `pg_ctl` reads it.
    fn ready(&self, data: &Path) -> bool {
        let text = read_to_string(data.join("postmaster.pid")).unwrap_or_default();
        let mut lines = text.lines().map(str::trim);
        let ours = lines.next() == Some(self.child.id().to_string().as_str());
        ours && lines.nth(6) == Some("ready")
    }
}

fn open(log: &Path) -> std::io::Result<(File, File)> {
    let out = OpenOptions::new().create(true).append(true).open(log)?;
    let err = out.try_clone()?;
    Ok((out, err))
}

/// By the shell's own `kill`, which every machine has. Who is gone already does not matter.
fn signal(name: &str, processes: &[u32]) -> Result<(), String> {
    run(Command::new("/bin/sh")
        .args(["-c", "kill -s \"$@\" || true", "kill", name])
        .args(processes.iter().map(u32::to_string)))
    .map(drop)
}

/// A killed orphan may stay a zombie where nobody adopts it.
fn alive(process: u32) -> bool {
    status(process).is_some_and(|(state, _)| state != 'Z')
}

/// State and parent of a process; the name before them may contain anything, even parentheses.
fn status(process: u32) -> Option<(char, u32)> {
    let text = read_to_string(format!("/proc/{process}/stat")).ok()?;
    let (_, rest) = text.rsplit_once(')')?;
    let mut words = rest.split_whitespace();
    Some((words.next()?.chars().next()?, words.next()?.parse().ok()?))
}
