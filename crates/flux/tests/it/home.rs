//! The real binary on a store of its own, from the root of the repository.

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::time::Duration;
use tempfile::TempDir;

/// Longest wait for anything in these tests.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A store in a temporary folder, and the commands on it.
pub struct Home(TempDir);

impl Home {
    pub fn new() -> Home {
        Home(tempfile::tempdir().unwrap())
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Writes a file into the folder; its path as an argument.
    pub fn file(&self, name: &str, text: &str) -> String {
        let path = self.path(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// A definition `test/NAME:1.0.0` with this body.
    pub fn definition(&self, name: &str, body: &str) -> String {
        let head = format!("{{ dsl: '1.0.3', namespace: test, name: {name}, version: '1.0.0' }}");
        self.file(
            &format!("{name}.yaml"),
            &format!("document: {head}\ndo:\n{body}"),
        )
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_flux"));
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("FLUX_") {
                command.env_remove(name);
            }
        }
        command
            .args(args)
            .current_dir(root())
            .env("HOME", self.0.path())
            .env("FLUX_DATA_DIR", self.0.path())
            .env("FLUX_PORT", "0")
            .stdin(Stdio::null());
        command
    }

    pub fn flux(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    /// In the background, killed when dropped.
    pub fn spawn(&self, args: &[&str]) -> Background {
        Background::start(self.command(args))
    }

    /// Standard output of a command that must succeed.
    #[track_caller]
    pub fn text(&self, args: &[&str]) -> String {
        let output = self.flux(args);
        assert!(
            output.status.success(),
            "flux {args:?}: {}",
            errors(&output)
        );
        String::from_utf8(output.stdout).unwrap()
    }

    #[track_caller]
    pub fn json(&self, args: &[&str]) -> Value {
        serde_json::from_str(&self.text(args)).unwrap()
    }

    /// Exit code and standard error.
    pub fn fails(&self, args: &[&str]) -> (Option<i32>, String) {
        let output = self.flux(args);
        (output.status.code(), errors(&output))
    }

    /// The only run's id.
    #[track_caller]
    pub fn run_id(&self) -> String {
        let list = self.json(&["list", "-o", "json"]);
        list["runs"][0]["id"].as_str().unwrap().to_owned()
    }
}

pub struct Background(Option<Child>);

impl Background {
    pub fn start(mut command: Command) -> Background {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        Background(Some(command.spawn().unwrap()))
    }

    /// Its standard output, once.
    pub fn stdout(&mut self) -> ChildStdout {
        self.0.as_mut().unwrap().stdout.take().unwrap()
    }

    pub fn wait(mut self) -> Output {
        self.0.take().unwrap().wait_with_output().unwrap()
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            let _gone = child.kill();
            let _reaped = child.wait();
        }
    }
}

pub fn errors(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}
