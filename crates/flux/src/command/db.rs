//! `flux db`

use crate::config::Config;
use crate::exit::Failure;
use crate::output;
use crate::wiring;

/// See [`super::Command`].
#[derive(clap::Subcommand)]
pub enum Args {
    /// Creates the store, or brings its schema up to date
    Migrate,
    /// Shows where the store is
    Path,
}

pub fn run(args: &Args, config: &Config) -> Result<(), Failure> {
    match args {
        Args::Migrate => {
            wiring::store(config)?;
            output::data(&format!("{} is up to date", config.database.display()));
        }
        Args::Path => output::data(&config.database.display().to_string()),
    }
    Ok(())
}
