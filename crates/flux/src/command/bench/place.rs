//! Where measurements happen, and are forgotten.

use crate::config::{Config, Setting};
use crate::database::Database;
use crate::exit::{Failure, UNAVAILABLE};
use flux_store::Address;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::path::{Path, PathBuf};
use tempfile::TempDir;
use uuid::Uuid;

/// A temporary place like the configured one, where nobody else works.
pub struct Place(TempDir);

impl Place {
    /// From now on the configuration leads there.
    pub fn make(within: Option<&PathBuf>, config: &mut Config) -> Result<Place, Failure> {
        let within = within.cloned().unwrap_or_else(std::env::temp_dir);
        let folder = tempfile::tempdir_in(&within).map_err(|error| {
            let within = within.display();
            let text = format!("cannot make a temporary folder in {within}: {error}");
            Failure::new(1, text).help("--folder names a folder that can be written to")
        })?;
        let (key, value) = match &config.database {
            Database::File(_) => {
                config.database = Database::File(folder.path().join("flux.db"));
                ("data_dir", folder.path().display().to_string())
            }
            Database::Server(_) => {
                let schema = format!("bench_{}", Uuid::now_v7().simple());
                let url = Address::url_with_schema(&config.given["database_url"].value, &schema);
                let address = url.parse::<Address>();
                let address = address.map_err(|error| Failure::new(1, error.to_string()))?;
                config.database = Database::Server(address);
                ("database_url", url)
            }
        };
        let source = "bench".to_owned();
        config.given.insert(key, Setting { value, source });
        Ok(Place(folder))
    }

    /// For what is to be kept until the end.
    pub fn folder(&self) -> &Path {
        self.0.path()
    }

    /// Removes what is not in the folder, which removes itself.
    pub async fn clear(self, config: &Config) -> Result<(), Failure> {
        if let Database::Server(address) = &config.database {
            let dropped = flux_store::postgres::drop_schema(address).await;
            dropped.map_err(|error| Failure::new(UNAVAILABLE, error.to_string()))?;
        }
        Ok(())
    }
}

/// Lets this process, and those that it starts, have so many files open.
pub fn open_files(count: u64) -> Result<(), Failure> {
    let limits = getrlimit(Resource::Nofile);
    if let Some(most) = limits.maximum.filter(|most| *most < count) {
        let text = format!("{count} open files are needed, and {most} are allowed");
        return Err(Failure::new(1, text).help("raise the limit (`ulimit -Hn`), or ask for fewer"));
    }
    let raised = Rlimit {
        current: limits.maximum,
        ..limits
    };
    setrlimit(Resource::Nofile, raised)
        .map_err(|error| Failure::new(1, format!("cannot raise the limit of open files: {error}")))
}
