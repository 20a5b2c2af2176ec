//! Reading definitions and input data.

use crate::exit::{Failure, INVALID, NOT_FOUND};
use crate::output;
use flux_core::chart::Chart;
use flux_core::value::{self, Value};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Longest definition or input that is read: 4 MiB.
const LONGEST: u64 = 4 << 20;

/// Text of a file, or of standard input for `-`.
pub fn text(file: &Path) -> Result<String, Failure> {
    let unreadable = |error: std::io::Error| {
        Failure::new(
            NOT_FOUND,
            format!("cannot read {}: {error}", file.display()),
        )
    };
    let mut bytes = Vec::new();
    if file == Path::new("-") {
        std::io::stdin()
            .take(LONGEST + 1)
            .read_to_end(&mut bytes)
            .map_err(unreadable)?;
    } else {
        let opened = std::fs::File::open(file).map_err(unreadable)?;
        opened
            .take(LONGEST + 1)
            .read_to_end(&mut bytes)
            .map_err(unreadable)?;
    }
    if bytes.len() as u64 > LONGEST {
        let message = format!("{} is longer than {LONGEST} bytes", file.display());
        return Err(Failure::new(INVALID, message));
    }
    String::from_utf8(bytes)
        .map_err(|error| Failure::new(INVALID, format!("{}: not UTF-8: {error}", file.display())))
}

/// A definition: its chart and source text.
pub fn definition(file: &Path) -> Result<(Arc<Chart>, String), Failure> {
    let source = text(file)?;
    let name = file.display().to_string();
    match flux_lang::compile(&source, &name) {
        Ok(compiled) => {
            if !compiled.warnings.is_empty() {
                output::note(&compiled.warnings.to_string());
            }
            Ok((compiled.chart, source))
        }
        Err(report) => Err(Failure::new(
            INVALID,
            format!("{name} is not valid\n{report}"),
        )),
    }
}

/// Input of a run.
#[derive(clap::Args, Clone, Default)]
pub struct Input {
    /// Input of the run, as JSON
    #[arg(long, short, value_name = "JSON")]
    pub input: Option<String>,
    /// File with the input, `-` for standard input
    #[arg(long, value_name = "FILE", conflicts_with = "input")]
    pub input_file: Option<PathBuf>,
}

impl Input {
    /// The value; an empty object when none was given.
    pub fn read(&self) -> Result<Value, Failure> {
        let (json, from) = match (&self.input, &self.input_file) {
            (Some(json), _) => (json.clone(), "--input".to_owned()),
            (None, Some(file)) => (text(file)?, file.display().to_string()),
            (None, None) => ("{}".to_owned(), String::new()),
        };
        let parsed = value::parse(&json).map_err(|error| error.to_string());
        let checked = parsed.and_then(|value| {
            value::check(&value, &value::Limits::default())
                .map_err(|error| error.to_string())
                .map(|()| value)
        });
        checked.map_err(|error| {
            Failure::new(
                INVALID,
                format!("{from} is no JSON that can be taken: {error}"),
            )
            .help("for example --input '{\"day\": \"2026-11-23\"}'")
        })
    }
}
