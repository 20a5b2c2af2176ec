//! The only place that writes to standard output and standard error.
#![expect(clippy::print_stderr, reason = "commands print here, and only here")]

use crate::exit::Failure;
use std::io::Write;

/// How data is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Table,
    /// One JSON document.
    Json,
}

/// A line of data. A closed pipe (`| head`) ends the program quietly.
pub fn data(text: &str) {
    let mut out = std::io::stdout().lock();
    if writeln!(out, "{text}").is_err() {
        std::process::exit(0);
    }
}

/// A message to the person who waits.
pub fn note(text: &str) {
    eprintln!("{}", harmless(text));
}

/// Without control characters: names and outputs of actions come from anywhere, and must not steer
/// the terminal.
fn harmless(text: &str) -> String {
    let harmless = |c: char| {
        if c.is_control() && c != '\n' && c != '\t' {
            char::REPLACEMENT_CHARACTER
        } else {
            c
        }
    };
    text.chars().map(harmless).collect()
}

/// A failure.
pub fn report(failure: &Failure) {
    if !failure.message.is_empty() {
        eprintln!("error: {}", harmless(&failure.message));
    }
    if let Some(help) = &failure.help {
        eprintln!("help: {}", harmless(help));
    }
}

/// A value as JSON.
pub fn json(value: &serde_json::Value) {
    data(&serde_json::to_string_pretty(value).unwrap_or_default());
}

/// Rows under upper-case headers.
pub fn table(header: &[&str], rows: Vec<Vec<String>>) {
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::NOTHING);
    table.set_header(header.iter().map(|name| name.to_uppercase()));
    table.add_rows(rows);
    data(&table.trim_fmt());
}
