//! `flux config`

use crate::config::{Flags, KEYS, load};
use crate::exit::Failure;
use crate::output::{self, Format};
use serde_json::{Value, json};

/// See [`super::Command`].
#[derive(clap::Subcommand)]
pub enum Args {
    /// Shows every key, its value, where it came from, and what it means
    Show {
        /// How to print
        #[arg(long, short, value_enum, default_value_t)]
        output: Format,
    },
    /// Checks the settings: all faults at once, exit code 78
    Check,
}

pub fn run(args: &Args, flags: &Flags) -> Result<(), Failure> {
    let config = load(flags)?;
    match args {
        Args::Check => output::note("the configuration is right"),
        Args::Show { output } if *output != Format::Table => {
            let keys: Vec<Value> = KEYS
                .iter()
                .map(|key| {
                    let setting = &config.given[key.name];
                    json!({"key": key.name, "value": config.shown(key.name), "source": setting.source,
                           "default": key.default, "meaning": key.meaning})
                })
                .collect();
            output::document(*output, &json!({ "keys": keys }))?;
        }
        Args::Show { .. } => {
            let rows = KEYS.iter().map(|key| {
                let setting = &config.given[key.name];
                vec![
                    key.name.to_owned(),
                    config.shown(key.name),
                    setting.source.clone(),
                    key.meaning.to_owned(),
                ]
            });
            output::table(&["key", "value", "source", "meaning"], rows.collect());
        }
    }
    Ok(())
}
