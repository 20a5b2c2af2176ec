//! A data directory as `initdb` leaves it, made once for each version and user and then copied:
//! `initdb` takes a second or more, a copy a tenth of one.

use crate::home::Home;
use crate::programs::{Programs, run};
use crate::wait::random;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Raised when the arguments of `initdb` change, so that an old copy is not used.
const REVISION: u32 = 1;

/// Makes `data` a fresh data directory.
pub(crate) fn copy_to(programs: &Programs, data: &Path) -> Result<(), String> {
    let name = format!("flux-postgres-{}-r{REVISION}", programs.key()?);
    let template = cache().join(name);
    if !template.exists() {
        build(programs, &template)?;
    }
    copy(&template, data)
}

/// Several processes may build at once: each in a place of its own, and the first to rename wins.
fn build(programs: &Programs, template: &Path) -> Result<(), String> {
    let home = Home::new(programs)?;
    let fresh = home.path().join("data");
    run(programs
        .command("initdb")
        .args(["--username=postgres", "--auth=trust", "--encoding=UTF8"])
        .args(["--locale=C", "--no-sync", "--no-instructions", "--pgdata"])
        .arg(&fresh))?;
    // The cache may be on another file system, and in a folder that the server's user cannot enter.
    let beside = template.with_extension(format!("{:x}.new", random()));
    copy(&fresh, &beside)?;
    if let Err(error) = std::fs::rename(&beside, template) {
        let _ = std::fs::remove_dir_all(&beside);
        if !template.exists() {
            return Err(format!("cannot create {}: {error}", template.display()));
        }
    }
    Ok(())
}

/// Keeps owners and modes, which PostgreSQL checks.
fn copy(from: &Path, to: &Path) -> Result<(), String> {
    run(Command::new("cp").arg("-a").arg(from).arg(to)).map(drop)
}

/// `tmp` in cargo's target folder, which holds the program that runs now; otherwise where all
/// temporary files are.
fn cache() -> PathBuf {
    let program = std::env::current_exe().unwrap_or_default();
    let target = program
        .ancestors()
        .find(|folder| folder.join("CACHEDIR.TAG").exists());
    let folder = target.map(|target| target.join("tmp"));
    folder
        .filter(|folder| std::fs::create_dir_all(folder).is_ok())
        .unwrap_or_else(std::env::temp_dir)
}
