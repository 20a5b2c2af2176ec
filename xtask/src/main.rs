//! `cargo xtask <command>`: see the library for what each command does.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command line tool talks to its user"
)]

use std::process::ExitCode;

use xtask::{Outcome, ci, interfaces, model, test, tidy, workspace_root};

const USAGE: &str = "\
Usage: cargo xtask <command>

  test [ARGS..]  run all tests of the workspace: unit, integration, documentation.
                 ARGS go to the test runner (a name filter, for example) and leave
                 the documentation tests out
  tidy           check the rules that no compiler checks: crate dependencies, file sizes, ...
  interfaces     check the gRPC interfaces: their style, and that clients of the last release
                 go on working; with FLUX_ACCEPT_INTERFACE=1, promise them as they are now
  model          check the model of the ownership protocol in full, and print a table
  ci             what continuous integration runs: formatting, tidy, interfaces, licences,
                 lints, docs, tests
  help           print this text";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let Some((command, rest)) = args.split_first() else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    match (command.as_str(), rest) {
        ("test", filters) => exit(test::run(&workspace_root(), &test::Options::local(filters))),
        ("tidy", []) => exit(tidy::run(&workspace_root())),
        ("interfaces", []) => exit(interfaces::run(&workspace_root())),
        ("model", []) => exit(model::run(&workspace_root())),
        ("ci", []) => exit(ci::run(&workspace_root())),
        ("help" | "-h" | "--help", _) => {
            println!("{USAGE}");
            ExitCode::SUCCESS
        }
        _ => {
            eprintln!("xtask: `{}` is not a command\n\n{USAGE}", args.join(" "));
            ExitCode::from(2)
        }
    }
}

fn exit(outcome: Outcome) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(sentence) => {
            eprintln!("\nxtask: {sentence}");
            ExitCode::FAILURE
        }
    }
}
