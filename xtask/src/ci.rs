//! `cargo xtask ci`: what continuous integration runs, stage by stage.
//!
//! Cheap stages come first, so that a slip is told in seconds; the tests come last, so that the
//! end of the log carries their counts. Every stage uses the dev profile and the same features.

use std::path::Path;
use std::time::Instant;

use crate::process::{self, cargo, works};
use crate::{Outcome, interfaces, test, tidy};

/// A stage's name and what it does.
type Stage = (&'static str, fn(&Path) -> Outcome);

const STAGES: &[Stage] = &[
    ("formatting", formatting),
    ("tidy", tidy::run),
    ("interfaces", interfaces::run),
    ("supply chain", supply_chain),
    ("lints", lints),
    ("documentation", documentation),
    ("tests", |root| test::run(root, &test::Options::ci())),
];

/// Runs all stages in order and stops at the first that fails.
///
/// # Errors
/// A sentence that names the stage and its reason.
pub fn run(root: &Path) -> Outcome {
    let began = Instant::now();
    run_stages(STAGES, root)?;
    println!(
        "\nci: all {} stages passed in {:.1} s",
        STAGES.len(),
        began.elapsed().as_secs_f64()
    );
    Ok(())
}

fn run_stages(stages: &[Stage], root: &Path) -> Outcome {
    for (number, (name, stage)) in stages.iter().enumerate() {
        println!("\n=== {}/{} {name}", number + 1, stages.len());
        let began = Instant::now();
        let outcome = stage(root);
        let seconds = began.elapsed().as_secs_f64();
        outcome.map_err(|why| format!("stage `{name}` failed after {seconds:.1} s: {why}"))?;
        println!("=== {name}: passed in {seconds:.1} s");
    }
    Ok(())
}

fn formatting(root: &Path) -> Outcome {
    process::run(cargo(root).args(["fmt", "--all", "--check"]))
        .map_err(|why| format!("{why} (hint: cargo fmt --all)"))
}

fn lints(root: &Path) -> Outcome {
    process::run(
        cargo(root)
            .args(["clippy", "--workspace", "--all-targets", "--locked"])
            .args(["--", "-D", "warnings"]),
    )
}

fn documentation(root: &Path) -> Outcome {
    process::run(
        cargo(root)
            .args(["doc", "--workspace", "--no-deps", "--locked"])
            .env("RUSTDOCFLAGS", "-D warnings"),
    )
}

/// Licences, bans and sources; known vulnerabilities too where a copy of the advisories lies.
/// Never reaches out to the network for them: a build must not depend on someone's server.
fn supply_chain(root: &Path) -> Outcome {
    if !works("cargo-deny", &["--version"]) {
        println!("skipped: cargo-deny is not installed (hint: cargo install cargo-deny --locked)");
        return Ok(());
    }
    let mut command = cargo(root);
    command.args(["deny", "--offline", "check", "bans", "licenses", "sources"]);
    if advisories_are_here() {
        command.arg("advisories");
    } else {
        println!(
            "skipped: advisories, no copy at $CARGO_HOME/advisory-dbs (hint: cargo deny fetch)"
        );
    }
    process::run(&mut command)
}

fn advisories_are_here() -> bool {
    let home = std::env::var_os("CARGO_HOME").map(std::path::PathBuf::from);
    home.or_else(|| std::env::home_dir().map(|home| home.join(".cargo")))
        .and_then(|home| home.join("advisory-dbs").read_dir().ok())
        .is_some_and(|mut entries| entries.next().is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_failing_stage_ends_the_run_and_is_named() {
        let stages: &[Stage] = &[
            ("first", |_| Ok(())),
            ("second", |_| Err("the moon is full".to_owned())),
            ("third", |_| panic!("must not be reached")),
        ];
        let sentence = run_stages(stages, Path::new(".")).expect_err("it must fail");
        assert!(sentence.starts_with("stage `second` failed"), "{sentence}");
        assert!(sentence.ends_with("the moon is full"), "{sentence}");
    }
}
