//! `cargo xtask test`: every test of the workspace in one go.
//!
//! Documentation tests come first and the runner's own summary last, so that whoever reads only
//! the end of a log sees the counts.

use std::path::{Path, PathBuf};

use crate::database::Database;
use crate::needs::{self, NEEDS};
use crate::process::{self, cargo};
use crate::{Outcome, needs::nextest};

/// Where the conformance kit of the definition language lies, relative to the workspace's root.
const CONFORMANCE: &str = "../shared/conformance/open-workflow";
/// The environment variable that names another place for it.
const CONFORMANCE_VARIABLE: &str = "FLUX_CONFORMANCE_DIR";

/// How the tests are run.
pub struct Options {
    /// Handed to the test runner; documentation tests run only when this is empty.
    pub runner_args: Vec<String>,
    /// Refuse to change `Cargo.lock`, and use the runner's profile for continuous integration.
    pub strict: bool,
}

impl Options {
    /// For a developer: `runner_args` narrow the run.
    pub fn local(runner_args: &[String]) -> Self {
        Self {
            runner_args: runner_args.to_vec(),
            strict: false,
        }
    }

    /// For continuous integration: everything, with the lock file as it is.
    pub fn ci() -> Self {
        Self {
            runner_args: Vec::new(),
            strict: true,
        }
    }
}

/// Runs all tests; a failure of one kind does not keep the other kind from running.
///
/// # Errors
/// A sentence that names the commands that failed, or the need that is not met.
pub fn run(root: &Path, options: &Options) -> Outcome {
    needs::meet(NEEDS)?;
    for line in skipped(
        root,
        std::env::var_os(CONFORMANCE_VARIABLE).map(PathBuf::from),
    ) {
        println!("skipped: {line}");
    }
    let docs = if options.runner_args.is_empty() {
        documentation_tests(root, options)
    } else {
        println!("skipped: documentation tests, because the run is narrowed by arguments");
        Ok(())
    };
    let database = Database::start()?;
    let tests = if nextest() {
        with_nextest(root, options, &database)
    } else {
        with_cargo_test(root, options, &database)
    };
    match (docs, tests) {
        (Err(first), Err(second)) => Err(format!("{first}; {second}")),
        (docs, tests) => docs.and(tests),
    }
}

/// What the tests will leave out on this machine and why, one line each.
fn skipped(root: &Path, named: Option<PathBuf>) -> Vec<String> {
    let folder = named.unwrap_or_else(|| root.join(CONFORMANCE));
    if folder.join("ctk/features").is_dir() {
        return Vec::new();
    }
    vec![format!(
        "the language's conformance kit is not at {} (set {CONFORMANCE_VARIABLE} to its folder)",
        folder.display()
    )]
}

fn documentation_tests(root: &Path, options: &Options) -> Outcome {
    let mut command = cargo(root);
    command.args(["test", "--workspace", "--doc", "--no-fail-fast", "--quiet"]);
    process::run(lock(&mut command, options))
}

fn with_nextest(root: &Path, options: &Options, database: &Database) -> Outcome {
    let mut command = cargo(root);
    command.args(["nextest", "run", "--workspace", "--no-fail-fast"]);
    if options.strict {
        command.args(["--profile", "ci"]);
    }
    lock(&mut command, options).args(&options.runner_args);
    process::run(database.tell(&mut command))
}

/// `cargo test` prints one summary per test binary, so we add them up.
fn with_cargo_test(root: &Path, options: &Options, database: &Database) -> Outcome {
    let mut command = cargo(root);
    command.args(["test", "--workspace", "--lib", "--bins", "--tests"]);
    command.arg("--no-fail-fast");
    lock(&mut command, options).args(&options.runner_args);
    let mut counts = Counts::default();
    let outcome = process::run_watched(database.tell(&mut command), |line| counts.add(line));
    println!("{}", counts.summary());
    outcome
}

fn lock<'a>(
    command: &'a mut std::process::Command,
    options: &Options,
) -> &'a mut std::process::Command {
    if options.strict {
        command.arg("--locked");
    }
    command
}

/// The sum of the `test result:` lines of several test binaries.
#[derive(Debug, Default, PartialEq, Eq)]
struct Counts {
    binaries: u64,
    passed: u64,
    failed: u64,
    ignored: u64,
}

impl Counts {
    /// Adds one line of output; lines that are not a summary change nothing.
    fn add(&mut self, line: &str) {
        let Some((_, figures)) = line
            .strip_prefix("test result: ")
            .and_then(|rest| rest.split_once(". "))
        else {
            return;
        };
        self.binaries += 1;
        for figure in figures.split(';') {
            let mut words = figure.split_whitespace();
            let number = words.next().and_then(|n| n.parse().ok()).unwrap_or(0);
            match words.next() {
                Some("passed") => self.passed += number,
                Some("failed") => self.failed += number,
                Some("ignored") => self.ignored += number,
                _ => {}
            }
        }
    }

    fn summary(&self) -> String {
        format!(
            "Summary: {} tests run in {} test binaries: {} passed, {} failed, {} ignored",
            self.passed + self.failed,
            self.binaries,
            self.passed,
            self.failed,
            self.ignored
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn summaries_of_test_binaries_are_added_up() {
        let mut counts = Counts::default();
        for line in [
            "test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s",
            "test some::test ... ok",
            "test result: FAILED. 3 passed; 2 failed; 0 ignored; 0 measured; 9 filtered out; finished in 1.20s",
        ] {
            counts.add(line);
        }
        assert_eq!(
            counts.summary(),
            "Summary: 17 tests run in 2 test binaries: 15 passed, 2 failed, 1 ignored"
        );
    }

    #[test]
    fn an_absent_conformance_kit_is_named_with_the_variable_that_helps() {
        let root = crate::workspace_root();
        let lines = skipped(&root, Some(root.join("no-such-folder")));
        assert_eq!(lines.len(), 1);
        assert!(lines[0].contains("no-such-folder"), "{lines:?}");
        assert!(lines[0].contains(CONFORMANCE_VARIABLE), "{lines:?}");
    }
}
