//! What comes from PyPI: in one virtual environment below the target folder, where later runs and the
//! tests find it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::process::{self, works};
use crate::{Outcome, workspace_root};

/// The folder of the environment, in the target folder.
const FOLDER: &str = "python";

/// Where a program of the environment is, or would be.
pub fn program(name: &str) -> PathBuf {
    environment().join("bin").join(name)
}

/// Installs packages: the arguments of `pip install`. The environment is made when it is not there.
///
/// # Errors
/// A sentence that names the command that failed: there is no network, for example.
pub fn install(packages: &[&str]) -> Outcome {
    if !works(program("pip"), &["--version"]) {
        let mut make = Command::new("python3");
        process::run(make.args(["-m", "venv", "--clear"]).arg(environment()))?;
    }
    let mut pip = Command::new(program("pip"));
    pip.args(["install", "--quiet", "--disable-pip-version-check"]);
    process::run(pip.args(packages))
}

/// Whether this machine's Python makes virtual environments.
pub fn makes_environments() -> bool {
    works("python3", &["-c", "import venv, ensurepip"])
}

fn environment() -> PathBuf {
    let told = std::env::var_os("CARGO_TARGET_DIR");
    target(&workspace_root(), told).join(FOLDER)
}

/// Where cargo builds; relative to the root, as that is where we call cargo.
fn target(root: &Path, told: Option<OsString>) -> PathBuf {
    root.join(told.unwrap_or_else(|| OsString::from("target")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_is_below_the_target_folder_wherever_that_is() {
        let at = |told: Option<&str>| target(Path::new("/flux"), told.map(OsString::from));
        assert_eq!(at(None), Path::new("/flux/target"));
        assert_eq!(at(Some("built")), Path::new("/flux/built"));
        assert_eq!(at(Some("/built")), Path::new("/built"));
    }
}
