//! A data directory as `initdb` leaves it, made once for each version and then unpacked again and
//! again: `initdb` takes a second or more, this a tenth of one.

use crate::home::Home;
use crate::programs::{Programs, run};
use crate::storage::Storage;
use crate::wait::random;
use std::fs::{File, rename};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Raised when the arguments of `initdb` change, so that an old archive is not used.
const REVISION: u32 = 1;

/// Fills the data directory of this home, which is empty.
pub(crate) fn unpack(programs: &Programs, home: &Home) -> Result<(), String> {
    let name = format!("flux-postgres-{}-r{REVISION}.tar", programs.version()?);
    let template = cache().join(name);
    if !template.exists() {
        build(programs, &template)?;
    }
    let archive = File::open(&template);
    let archive =
        archive.map_err(|error| format!("cannot read {}: {error}", template.display()))?;
    // Opened by us: the server's user may not be allowed to enter the folder around it.
    run(home
        .work_in(&mut programs.as_owner("tar"))
        .arg("-x")
        .stdin(archive))
    .map(drop)
}

/// Several processes may build at once: each in a place of its own, and the last to rename wins.
fn build(programs: &Programs, template: &Path) -> Result<(), String> {
    let home = Home::new(programs, Storage::Fast)?;
    let mut initdb = programs.command("initdb");
    initdb
        .args(["--username=postgres", "--auth=trust", "--encoding=UTF8"])
        .args(["--locale=C", "--no-sync", "--no-instructions", "--pgdata=."]);
    run(home.work_in(&mut initdb))?;
    let new = template.with_extension(format!("{:x}.new", random()));
    run(Command::new("tar")
        .arg("-cf")
        .arg(&new)
        .arg("-C")
        .arg(home.data())
        .arg("."))?;
    rename(&new, template).map_err(|error| format!("cannot create {}: {error}", template.display()))
}

/// `tmp` in cargo's target folder, which holds the program that runs now; otherwise where all
/// temporary files are.
fn cache() -> PathBuf {
    let program = std::env::current_exe().unwrap_or_default();
    let mut folders = program.ancestors();
    let target = folders.find(|folder| folder.join("CACHEDIR.TAG").exists());
    let folder = target.map(|target| target.join("tmp"));
    folder
        .filter(|folder| std::fs::create_dir_all(folder).is_ok())
        .unwrap_or_else(std::env::temp_dir)
}
