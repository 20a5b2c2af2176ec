//! What the tests want from the machine, each with a hint, and how to get it where we can.

use std::ffi::OsString;
use std::path::Path;
use std::process::Command;

use crate::interfaces::BUF;
use crate::process::{self, works};
use crate::{Outcome, python, workspace_root};

/// One thing outside the repository that the tests use.
pub struct Need {
    /// What it is called, as a user would look for it.
    pub name: &'static str,
    /// What it is used for.
    pub purpose: &'static str,
    /// One line that says how to get it.
    pub hint: &'static str,
    /// Whether it is there.
    pub present: fn() -> bool,
    /// What happens without it.
    pub otherwise: Otherwise,
}

/// What happens when a [`Need`] is not met.
#[derive(Clone, Copy)]
pub enum Otherwise {
    /// Nothing can be tested. These Debian packages are installed where we may.
    Install(&'static [&'static str]),
    /// The tests run all the same; the text says what is different.
    GoOn(&'static str),
    /// These Debian packages are installed where we may; without them, as the text says.
    Try(&'static [&'static str], &'static str),
    /// This gets it from PyPI; without it, as the text says.
    Fetch(fn() -> Outcome, &'static str),
}

/// A Python that makes virtual environments.
pub const PYTHON: Need = Need {
    name: "Python with venv",
    purpose: "gets from PyPI what Debian does not have",
    hint: "apt-get install python3-venv",
    present: python::makes_environments,
    otherwise: Otherwise::Try(&["python3-venv"], "nothing is fetched from PyPI"),
};

/// Everything the tests of today use. SQLite is bundled and compiled from source.
pub const NEEDS: &[Need] = &[
    Need {
        name: "C compiler",
        purpose: "compiles the bundled SQLite",
        hint: "apt-get install build-essential",
        present: c_compiler,
        otherwise: Otherwise::Install(&["build-essential"]),
    },
    Need {
        name: "cargo-nextest",
        purpose: "runs each test in its own process and ends hung ones",
        hint: "cargo install cargo-nextest --locked",
        present: nextest,
        otherwise: Otherwise::GoOn("plain `cargo test` is used"),
    },
    Need {
        name: "PostgreSQL",
        purpose: "runs a server for the tests of that store",
        hint: "apt-get install postgresql",
        present: flux_testkit_postgres::available,
        otherwise: Otherwise::Try(&["postgresql"], "the tests on PostgreSQL are skipped"),
    },
    Need {
        name: "libfaketime",
        purpose: "gives single engines wrong clocks",
        hint: "apt-get install libfaketime",
        present: flux_testkit_postgres::faketime_installed,
        otherwise: Otherwise::Try(&["libfaketime"], "the tests of wrong clocks are skipped"),
    },
    PYTHON,
    BUF,
    Need {
        name: "gRPC for Python",
        purpose: "runs the client example in Python",
        hint: "pip install -r examples/clients/python/requirements.txt",
        present: grpc_for_python,
        otherwise: Otherwise::Fetch(fetch_grpc_for_python, "this example is not run"),
    },
    Need {
        name: "gRPC for Go",
        purpose: "builds the client example in Go",
        hint: "see examples/clients/go/README.md",
        present: grpc_for_go,
        otherwise: Otherwise::Try(
            &[
                "golang-go",
                "golang-google-grpc-dev",
                // Its predecessor, which Debian takes by itself, does not know what `protoc-gen-go` generates.
                "golang-github-golang-protobuf-1-5-dev",
                "protobuf-compiler",
                "protoc-gen-go",
                "protoc-gen-go-grpc",
            ],
            "this example is not run",
        ),
    },
];

/// Checks every need, says what it found, and installs what it can.
///
/// # Errors
/// A sentence with the hint when something indispensable is missing.
pub fn meet(needs: &[Need]) -> Outcome {
    for need in needs {
        if (need.present)() {
            println!("needs {}: found", need.name);
            continue;
        }
        match need.otherwise {
            Otherwise::GoOn(how) => go_on(need, how),
            Otherwise::Try(packages, how) => {
                if install(need, packages).is_err() {
                    go_on(need, how);
                }
            }
            Otherwise::Fetch(get, how) => {
                println!("needs {}: not found, fetching it from PyPI", need.name);
                if get().is_err() || !(need.present)() {
                    go_on(need, how);
                }
            }
            Otherwise::Install(packages) => install(need, packages)?,
        }
    }
    Ok(())
}

/// Whether `cargo nextest` is installed.
pub fn nextest() -> bool {
    works("cargo-nextest", &["nextest", "--version"])
}

fn go_on(need: &Need, how: &str) {
    println!(
        "needs {}: not found, {how} (it {}; {})",
        need.name, need.purpose, need.hint
    );
}

fn c_compiler() -> bool {
    works(
        std::env::var_os("CC").unwrap_or_else(|| OsString::from("cc")),
        &["--version"],
    )
}

fn grpc_for_python() -> bool {
    let modules = "import grpc_reflection, grpc_status, grpc_tools";
    works(python::program("python"), &["-c", modules])
}

fn fetch_grpc_for_python() -> Outcome {
    let packages = workspace_root().join("examples/clients/python/requirements.txt");
    let packages = packages
        .to_str()
        .ok_or("the path of the checkout is no text")?;
    python::install(&["--requirement", packages])
}

fn grpc_for_go() -> bool {
    let tools = [
        "go version",
        "protoc --version",
        "protoc-gen-go --version",
        "protoc-gen-go-grpc --version",
    ];
    let tools = tools.iter().all(|tool| works("sh", &["-c", tool]));
    let packages = Path::new("/usr/share/gocode/src");
    let needed = [
        "google.golang.org/grpc",
        "google.golang.org/protobuf",
        "github.com/golang/protobuf/proto/registry.go",
    ];
    tools && needed.iter().all(|needed| packages.join(needed).exists())
}

fn install(need: &Need, packages: &[&str]) -> Outcome {
    let missing = || {
        format!(
            "{} is missing: it {} (hint: {})",
            need.name, need.purpose, need.hint
        )
    };
    if packages.is_empty() || !may_install() {
        return Err(missing());
    }
    println!("needs {}: not found, installing {packages:?}", need.name);
    let apt_get = || {
        let mut command = Command::new("apt-get");
        command.env("DEBIAN_FRONTEND", "noninteractive");
        command
    };
    // A fresh machine has no lists; where they cannot be fetched, old ones may do.
    let _ = process::run(apt_get().args(["update", "--quiet"]));
    let mut apt = apt_get();
    apt.args(["install", "--yes", "--quiet"]).args(packages);
    process::run(&mut apt).map_err(|e| format!("{}; {e}", missing()))?;
    if (need.present)() {
        Ok(())
    } else {
        Err(missing())
    }
}

fn may_install() -> bool {
    works("sh", &["-c", "test \"$(id -u)\" = 0"]) && works("apt-get", &["--version"])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn missing(otherwise: Otherwise) -> Need {
        Need {
            name: "moon",
            purpose: "lights the night",
            hint: "wait for the evening",
            present: || false,
            otherwise,
        }
    }

    #[test]
    fn an_indispensable_need_fails_with_its_hint() {
        let sentence = meet(&[missing(Otherwise::Install(&[]))]).expect_err("it must fail");
        assert!(sentence.contains("moon is missing"), "{sentence}");
        assert!(sentence.contains("wait for the evening"), "{sentence}");
    }

    #[test]
    fn a_dispensable_need_does_not_fail() {
        assert_eq!(meet(&[missing(Otherwise::GoOn("stars do"))]), Ok(()));
        assert_eq!(meet(&[missing(Otherwise::Try(&[], "stars do"))]), Ok(()));
        let offline = || Err("there is no network".to_owned());
        let fetch = Otherwise::Fetch(offline, "stars do");
        assert_eq!(meet(&[missing(fetch)]), Ok(()));
    }

    #[test]
    fn every_need_has_a_hint_of_one_line() {
        for need in NEEDS {
            assert!(!need.hint.is_empty() && !need.hint.contains('\n'));
        }
    }
}
