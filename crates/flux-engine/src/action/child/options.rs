//! What to start, and what the three kinds of process have in common.

use crate::action::Config;
use crate::action::with::{Text, Texts, With};
use flux_core::chart::Fault;
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use std::path::PathBuf;
use std::time::Duration;

/// Most that a task may ask to keep of an output.
const MOST_OUTPUT: usize = 64 << 20;

/// What to start.
#[derive(Debug)]
pub(in crate::action) struct Command {
    /// As faults call it.
    pub name: String,
    /// Looked up on the PATH unless it contains a slash.
    pub program: String,
    /// After the program's name.
    pub arguments: Vec<String>,
    /// What a fault says when the program does not exist.
    pub missing: String,
}

/// Arguments as a list of texts, or as a map: each entry becomes `name=value`, in the order
/// written; `name` alone when its value is null.
#[derive(Debug, Default)]
pub(in crate::action) struct Arguments(pub Vec<String>);

impl<'de> Deserialize<'de> for Arguments {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Arguments, D::Error> {
        let value = Value::deserialize(deserializer)?;
        if let Value::Object(map) = value {
            let word = |(name, value): (String, Value)| match Text::of(&value) {
                Some(text) => format!("{name}={}", text.0),
                None => name,
            };
            return Ok(Arguments(map.into_iter().map(word).collect()));
        }
        let list = Vec::<Text>::deserialize(value).map_err(serde::de::Error::custom)?;
        Ok(Arguments(list.into_iter().map(|text| text.0).collect()))
    }
}

/// What the task's output is made of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(in crate::action) enum Return {
    /// Text of the standard output.
    #[default]
    Stdout,
    /// Text of the standard error.
    Stderr,
    /// The exit code; 128 + n after signal n.
    Code,
    /// `{code, stdout, stderr}`, and `truncated: true` when one of the texts is not whole.
    All,
    /// Null.
    None,
}

/// What the three kinds have in common.
#[derive(Debug)]
pub(in crate::action) struct Options {
    pub environment: Vec<(String, String)>,
    pub stdin: Option<Vec<u8>>,
    pub returns: Return,
    pub directory: Option<PathBuf>,
    pub max_output: usize,
    pub exit_codes: Vec<i32>,
    pub kill_grace: Duration,
}

impl Options {
    /// From the task's parameters, and the engine's settings where the task says nothing.
    pub fn read(with: &With, config: &Config) -> Result<Options, Fault> {
        let environment: Texts = with.optional("environment", "{ LANG: C }")?;
        let max_output = with.optional::<Option<usize>>("maxOutput", "1048576")?;
        if max_output.is_some_and(|bytes| bytes > MOST_OUTPUT) {
            return Err(with.fault(&format!("`maxOutput` must be at most {MOST_OUTPUT} bytes")));
        }
        let exit_codes = with.optional::<Option<Vec<i32>>>("exitCodes", "[0, 1]")?;
        let directory = with.optional::<Option<PathBuf>>("workingDirectory", "/var/data")?;
        Ok(Options {
            environment: environment.0,
            stdin: with
                .raw("stdin")
                .and_then(Text::of)
                .map(|text| text.0.into_bytes()),
            returns: with.optional("return", "stdout")?,
            // A relative directory is one below the engine's.
            directory: match (&config.working_directory, directory) {
                (Some(base), Some(below)) => Some(base.join(below)),
                (base, below) => below.or_else(|| base.clone()),
            },
            max_output: max_output.unwrap_or(config.max_output),
            exit_codes: exit_codes.unwrap_or_else(|| vec![0]),
            kill_grace: config.kill_grace,
        })
    }
}
