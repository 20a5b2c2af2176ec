//! The real binary as a child process in a group of its own.

use crate::history::{Did, Nanos, Recorder};
use crate::wait::{pause, wait_until};
use rustix::process::{Pid, Signal, kill_process_group};
use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How to start the binary.
#[derive(Debug)]
pub struct FluxBuilder {
    command: Command,
    directory: Arc<TempDir>,
    recorder: Recorder,
}

impl FluxBuilder {
    /// The binary at this path (`env!("CARGO_BIN_EXE_flux")`), in a fresh temporary directory that
    /// is also its working directory and home, without the settings of this environment.
    pub fn new(binary: impl AsRef<OsStr>) -> FluxBuilder {
        let directory = Arc::new(tempfile::tempdir().expect("a temporary directory"));
        FluxBuilder::within(binary, directory, Recorder::default())
    }

    /// The same in a directory that others use, too, whose deeds are taken down.
    pub(crate) fn within(
        binary: impl AsRef<OsStr>,
        directory: Arc<TempDir>,
        recorder: Recorder,
    ) -> FluxBuilder {
        FluxBuilder {
            command: Command::new(binary),
            directory,
            recorder,
        }
        .clean()
    }

    /// The same binary in the same directory: another engine, or a client beside one.
    pub fn beside(other: &Flux) -> FluxBuilder {
        let command = Command::new(other.builder.command.get_program());
        FluxBuilder {
            command,
            directory: Arc::clone(&other.builder.directory),
            recorder: other.builder.recorder.clone(),
        }
        .clean()
    }

    fn clean(mut self) -> FluxBuilder {
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("FLUX_") || name == "DATABASE_URL" {
                self.command.env_remove(name);
            }
        }
        self.command
            .current_dir(self.directory.path())
            .env("HOME", self.directory.path())
            // Tests start many engines on one machine.
            .env("FLUX_PORT", "0");
        self.command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        self.command.process_group(0);
        self
    }

    /// Its directory, removed when the last process that uses it is dropped.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Adds arguments.
    #[must_use]
    pub fn args(mut self, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> FluxBuilder {
        self.command.args(args);
        self
    }

    /// Sets a variable of its environment.
    #[must_use]
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> FluxBuilder {
        self.command.env(name, value);
        self
    }

    /// Starts it.
    #[track_caller]
    pub fn spawn(mut self) -> Flux {
        let started = start(&mut self.command, &self.recorder);
        Flux {
            builder: self,
            started,
        }
    }
}

/// A running (or ended) process. On drop its whole group is killed.
#[derive(Debug)]
pub struct Flux {
    builder: FluxBuilder,
    started: Started,
}

/// One start of it.
#[derive(Debug)]
struct Started {
    /// Its number in the record.
    number: usize,
    child: Child,
    stdout: Lines,
    stderr: Lines,
}

impl Flux {
    /// Its directory.
    pub fn directory(&self) -> &Path {
        self.builder.directory()
    }

    /// Id of the process and of its group.
    pub fn id(&self) -> u32 {
        self.started.child.id()
    }

    /// What it wrote to its standard output so far.
    pub fn stdout(&self) -> Vec<String> {
        self.started.stdout.get()
    }

    /// What it wrote to its standard error so far.
    pub fn stderr(&self) -> Vec<String> {
        self.started.stderr.get()
    }

    /// Waits for a line of either output that contains `text` and returns it; panics with all
    /// output when none comes in time.
    #[track_caller]
    pub fn wait_for_line(&self, text: &str, timeout: Duration) -> String {
        let start = Instant::now();
        loop {
            let mut lines = self.stdout().into_iter().chain(self.stderr());
            if let Some(line) = lines.find(|line| line.contains(text)) {
                return line;
            }
            assert!(
                start.elapsed() < timeout,
                "no line with `{text}`\n{}",
                self.output()
            );
            pause();
        }
    }

    /// Waits until it has ended; panics with all output when it does not in time.
    #[track_caller]
    pub fn wait(&mut self, timeout: Duration) -> ExitStatus {
        let start = Instant::now();
        loop {
            if let Some(status) = self
                .started
                .child
                .try_wait()
                .expect("the child can be waited for")
            {
                wait_until("both outputs are closed", timeout, || {
                    self.started.stdout.closed() && self.started.stderr.closed()
                });
                return status;
            }
            assert!(
                start.elapsed() < timeout,
                "still runs after {timeout:?}\n{}",
                self.output()
            );
            pause();
        }
    }

    /// Whether it still runs.
    pub fn runs(&mut self) -> bool {
        self.started
            .child
            .try_wait()
            .expect("the child can be waited for")
            .is_none()
    }

    /// Power failure: SIGKILL to the process alone; its actions stay behind as orphans.
    pub fn kill9(&mut self) {
        self.note(Did::Killed);
        self.started.child.kill().expect("the child can be killed");
        self.started
            .child
            .wait()
            .expect("the child can be waited for");
    }

    /// Asks it to end: SIGTERM.
    pub fn terminate(&self) {
        self.note(Did::Terminated);
        self.signal(Signal::TERM);
    }

    /// The same from the keyboard: SIGINT.
    pub fn interrupt(&self) {
        self.signal(Signal::INT);
    }

    /// Freezes it (SIGSTOP), as a long pause of a virtual machine would.
    pub fn stop(&self) {
        self.note(Did::Froze);
        self.signal(Signal::STOP);
    }

    /// Thaws it.
    pub fn cont(&self) {
        self.signal(Signal::CONT);
        self.note(Did::Thawed);
    }

    /// Starts it again with the same arguments, environment and directory; the old one is killed
    /// if it still runs. Captured output starts afresh.
    #[track_caller]
    pub fn restart(&mut self) {
        self.kill9();
        self.started = start(&mut self.builder.command, &self.builder.recorder);
    }

    /// Takes down that it was hindered to reach the database from that time on until now.
    pub fn disturbed(&self, since: Nanos) {
        self.note(|process| Did::Disturbed(Some(process), since));
    }

    fn note(&self, did: impl Fn(usize) -> Did) {
        self.builder.recorder.did(did(self.started.number));
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.started.child);
        rustix::process::kill_process(pid, signal).expect("the child can be signalled");
    }

    fn output(&self) -> String {
        format!(
            "stdout:\n{}\nstderr:\n{}",
            self.stdout().join("\n"),
            self.stderr().join("\n")
        )
    }
}

impl Drop for Flux {
    fn drop(&mut self) {
        self.note(Did::Killed);
        // An error says that the group is gone already.
        let _ = kill_process_group(Pid::from_child(&self.started.child), Signal::KILL);
        let _ = self.started.child.wait();
    }
}

#[track_caller]
fn start(command: &mut Command, recorder: &Recorder) -> Started {
    let number = recorder.start();
    let mut child = command
        .spawn()
        .unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
    let stdout = child.stdout.take().expect("stdout is piped");
    let stderr = child.stderr.take().expect("stderr is piped");
    let recorder = recorder.clone();
    let listen = move |line: Option<&str>| match line {
        Some(line) => recorder.line(number, line),
        None => recorder.did(Did::Ended(number)),
    };
    Started {
        number,
        child,
        stdout: Lines::of(stdout, |_| {}),
        stderr: Lines::of(stderr, listen),
    }
}

/// Lines of a pipe, collected by a thread that ends with the pipe.
#[derive(Debug)]
struct Lines(Arc<Mutex<(Vec<String>, bool)>>);

impl Lines {
    /// `listen` hears each line, and `None` at the end.
    fn of(
        pipe: impl Read + Send + 'static,
        listen: impl Fn(Option<&str>) + Send + 'static,
    ) -> Lines {
        let lines = Lines(Arc::default());
        let shared = Arc::clone(&lines.0);
        std::thread::spawn(move || {
            for line in BufReader::new(pipe).split(b'\n').map_while(Result::ok) {
                let line = String::from_utf8_lossy(&line).into_owned();
                listen(Some(&line));
                shared
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .0
                    .push(line);
            }
            listen(None);
            shared.lock().unwrap_or_else(PoisonError::into_inner).1 = true;
        });
        lines
    }

    fn get(&self) -> Vec<String> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .0
            .clone()
    }

    fn closed(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(20);

    fn shell(script: &str) -> FluxBuilder {
        FluxBuilder::new("/bin/sh").args(["-c", script])
    }

    #[test]
    fn output_and_status_are_captured() {
        let mut process = shell("echo out; echo err >&2; pwd; exit 3").spawn();
        assert_eq!(process.wait(LONG).code(), Some(3));
        assert_eq!(process.stdout()[0], "out");
        assert_eq!(process.stderr(), ["err"]);
        let here = process
            .directory()
            .canonicalize()
            .expect("the directory exists");
        assert_eq!(Path::new(&process.stdout()[1]), here);
    }

    #[test]
    fn a_killed_process_starts_again_in_its_directory() {
        let mut process = shell("echo x >> log; wc -l < log; exec sleep 600").spawn();
        process.wait_for_line("1", LONG);
        process.restart();
        process.wait_for_line("2", LONG);
        process.stop();
        assert!(process.runs());
        process.cont();
        process.terminate();
        assert_eq!(process.wait(LONG).code(), None);
    }

    #[test]
    fn dropping_kills_the_group() {
        let process = shell("sleep 600 & echo $!; wait").spawn();
        let grandchild = process.wait_for_line("", LONG);
        drop(process);
        let stat = format!("/proc/{grandchild}/stat");
        // A killed orphan may stay a zombie where nobody adopts it.
        wait_until("the grandchild is dead", LONG, || {
            std::fs::read_to_string(&stat).map_or(true, |stat| stat.contains(") Z"))
        });
    }
}
