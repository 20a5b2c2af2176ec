//! `cargo xtask interfaces`: the gRPC interfaces are well-formed, and clients of the last release go on
//! working with the one for clients.
//!
//! `buf` judges, by the rules in `proto/buf.yaml`. What the last release promised is in
//! `proto/baseline.binpb`.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::needs::{self, Need, Otherwise, PYTHON};
use crate::process::{self, works};
use crate::{Outcome, python};

/// The judge.
pub const BUF: Need = Need {
    name: "buf",
    purpose: "checks the gRPC interfaces",
    hint: "pip install buf-bin, or https://buf.build/docs/cli/installation",
    present: || buf().is_some(),
    otherwise: Otherwise::Fetch(
        || python::install(&["buf-bin==1.75.0"]),
        "the interfaces are not checked",
    ),
};

/// The environment variable that makes today's interface the promised one.
const ACCEPT_VARIABLE: &str = "FLUX_ACCEPT_INTERFACE";

/// Checks the interfaces, or renews what is promised when the environment says so.
///
/// # Errors
/// A sentence that names what failed; `buf` has printed the reasons.
pub fn run(root: &Path) -> Outcome {
    needs::meet(&[PYTHON, BUF])?;
    let Some(buf) = buf() else {
        println!(
            "skipped: the interfaces, because `buf` is missing (hint: {})",
            BUF.hint
        );
        return Ok(());
    };
    let interfaces = root.join("proto");
    match std::env::var_os(ACCEPT_VARIABLE) {
        Some(_) => accept(&buf, &interfaces),
        None => check(&buf, &interfaces),
    }
}

/// Lets this `buf` check the interfaces in this folder against the promise that lies there, too.
///
/// # Errors
/// A sentence that names what failed; `buf` has printed the reasons.
pub fn check(buf: &Path, interfaces: &Path) -> Outcome {
    process::run(within(interfaces, buf).arg("lint"))?;
    let mut breaking = within(interfaces, buf);
    process::run(breaking.args(["breaking", "--against", "baseline.binpb"])).map_err(|why| {
        format!(
            "{why}: clients of the last release would break \
             (hint: if that is meant, {ACCEPT_VARIABLE}=1 cargo xtask interfaces)"
        )
    })
}

/// Writes what is promised from now on.
fn accept(buf: &Path, interfaces: &Path) -> Outcome {
    let mut build = within(interfaces, buf);
    build.args(["build", "--path", "flux/v1", "--exclude-source-info"]);
    process::run(build.args(["--output", "baseline.binpb"]))
}

/// Where `buf` is: in the path, or in our environment of what comes from PyPI.
pub fn buf() -> Option<PathBuf> {
    let places = [PathBuf::from("buf"), python::program("buf")];
    places.into_iter().find(|buf| works(buf, &["--version"]))
}

fn within(folder: &Path, program: &Path) -> Command {
    let mut command = Command::new(program);
    command.current_dir(folder).stdin(Stdio::null());
    command
}
