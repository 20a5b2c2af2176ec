//! `flux completions` and `flux man`

use crate::exit::Failure;
use crate::output;
use clap::CommandFactory;
use std::path::PathBuf;

/// See [`super::Command`].
#[derive(clap::Args)]
pub struct Completions {
    /// Which shell
    shell: clap_complete::Shell,
}

/// See [`super::Command`].
#[derive(clap::Args)]
pub struct Man {
    /// Folder for the pages of all commands
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

pub fn completions(args: &Completions) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut crate::Cli::command(), "flux", &mut script);
    output::data(String::from_utf8_lossy(&script).trim_end());
    Ok(())
}

pub fn man(args: &Man) -> Result<(), Failure> {
    let failed =
        |error: std::io::Error| Failure::new(1, format!("cannot write the pages: {error}"));
    match &args.dir {
        Some(dir) => {
            std::fs::create_dir_all(dir).map_err(failed)?;
            clap_mangen::generate_to(crate::Cli::command(), dir).map_err(failed)?;
            output::note(&format!("wrote the pages to {}", dir.display()));
        }
        None => {
            let mut page = Vec::new();
            clap_mangen::Man::new(crate::Cli::command())
                .render(&mut page)
                .map_err(failed)?;
            output::data(String::from_utf8_lossy(&page).trim_end());
        }
    }
    Ok(())
}
