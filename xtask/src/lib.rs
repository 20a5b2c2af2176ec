//! The house-keeping of this repository: `cargo xtask test`, `cargo xtask ci`, `cargo xtask tidy`,
//! `cargo xtask interfaces`, `cargo xtask model`.
//!
//! ```text
//!   main -> ci ----> process (one cargo command, timed)
//!            |  \--> tidy    (rules no compiler checks)
//!            |  \--> interfaces (gRPC: its style, and whether it still suits older clients)
//!            v
//!           test ---> needs     (what the tests want from the machine) -> python (what is from PyPI)
//!               \---> database  (the server that they share)
//!   main -> model            (one test binary of flux-core, for longer than in `test`)
//! ```
//!
//! Called by developers and by `.ci/run`; continuous integration does nothing that a developer
//! cannot do here. The rules of `tidy` are also ordinary tests of this crate, so that a plain
//! `cargo test` covers them.
#![expect(clippy::print_stdout, reason = "a command line tool talks to its user")]

pub mod ci;
pub mod database;
pub mod interfaces;
pub mod model;
pub mod needs;
pub mod process;
pub mod python;
pub mod test;
pub mod tidy;

use std::path::PathBuf;

/// What a command returns: nothing, or the sentence to print before exiting with status 1.
pub type Outcome = Result<(), String>;

/// The root folder of the workspace: of the checkout that `cargo` runs in, which need not be the one
/// this binary was built in when checkouts share a target folder.
pub fn workspace_root() -> PathBuf {
    let told = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    let here = told.unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    here.parent()
        .expect("xtask is a folder of the workspace")
        .to_path_buf()
}
