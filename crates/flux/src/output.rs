//! The only place that writes to standard output and standard error.

use crate::exit::Failure;
use anstyle::{AnsiColor, Style};
use indicatif::MultiProgress;
use serde_json::Value;
use std::io::{IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

/// How to print, for every command.
#[derive(clap::Args, Default)]
pub struct Printing {
    /// When to use colours
    #[arg(long, global = true, value_name = "WHEN", default_value_t)]
    color: clap::ColorChoice,
    /// Print nothing but data and errors
    #[arg(long, short, global = true)]
    quiet: bool,
}

/// How data is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Table,
    /// One JSON document.
    Json,
    /// One YAML document.
    Yaml,
}

static QUIET: AtomicBool = AtomicBool::new(false);

/// Live lines at the bottom of the terminal, above which notes are printed.
static LIVE: Mutex<Option<MultiProgress>> = Mutex::new(None);

/// Takes the flags to heart; before anything is printed.
pub fn set_up(flags: &Printing) {
    let choice = match flags.color {
        clap::ColorChoice::Auto => anstream::ColorChoice::Auto,
        clap::ColorChoice::Always => anstream::ColorChoice::Always,
        clap::ColorChoice::Never => anstream::ColorChoice::Never,
    };
    choice.write_global();
    QUIET.store(flags.quiet, Ordering::Relaxed);
}

/// Whether standard error takes colours.
pub fn colours() -> bool {
    anstream::AutoStream::choice(&std::io::stderr()) != anstream::ColorChoice::Never
}

/// Whether somebody watches: live lines make sense.
pub fn watched() -> bool {
    let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    !quiet() && !dumb && std::io::stderr().is_terminal()
}

/// Whether data goes to a person, too.
pub fn data_is_watched() -> bool {
    std::io::stdout().is_terminal()
}

/// Shows these live lines from now on, or none.
pub fn set_live(lines: Option<MultiProgress>) {
    *LIVE.lock().unwrap_or_else(PoisonError::into_inner) = lines;
}

/// A line of data. A closed pipe (`| head`) ends the program quietly.
pub fn data(text: &str) {
    let mut out = anstream::stdout().lock();
    if writeln!(out, "{text}").is_err() {
        std::process::exit(0);
    }
}

/// A message to the person who waits.
pub fn note(text: &str) {
    if quiet() {
        return;
    }
    let live = LIVE.lock().unwrap_or_else(PoisonError::into_inner);
    match live.as_ref() {
        Some(lines) if lines.println(harmless(text)).is_ok() => {}
        _ => to_stderr(text),
    }
}

/// A failure.
pub fn report(failure: &Failure) {
    let label = |text: &str, colour: AnsiColor| paint(text, colour.on_default().bold());
    if !failure.message.is_empty() {
        let error = label("error:", AnsiColor::Red);
        to_stderr(&format!("{error} {}", failure.message));
    }
    if let Some(help) = &failure.help {
        to_stderr(&format!("{} {help}", label("help:", AnsiColor::Cyan)));
    }
}

/// The text in this style, where standard error takes colours.
pub fn paint(text: &str, style: Style) -> String {
    if colours() {
        format!("{style}{text}{style:#}")
    } else {
        text.to_owned()
    }
}

/// A value as JSON.
pub fn json(value: &Value) {
    data(&serde_json::to_string_pretty(value).unwrap_or_default());
}

/// A value for programs: YAML when that is asked for, else JSON.
pub fn document(format: Format, value: &Value) -> Result<(), Failure> {
    if format != Format::Yaml {
        json(value);
        return Ok(());
    }
    let text = serde_saphyr::to_string(value)
        .map_err(|error| Failure::new(1, format!("cannot be written as YAML: {error}")))?;
    data(text.trim_end());
    Ok(())
}

/// Rows under upper-case headers.
pub fn table(header: &[&str], rows: Vec<Vec<String>>) {
    data(&table_text(header, rows));
}

/// The same as text.
pub fn table_text(header: &[&str], rows: Vec<Vec<String>>) -> String {
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::NOTHING);
    table.set_header(header.iter().map(|name| name.to_uppercase()));
    table.add_rows(rows);
    table.trim_fmt()
}

fn quiet() -> bool {
    QUIET.load(Ordering::Relaxed)
}

fn to_stderr(text: &str) {
    // Nobody is left to be told that standard error is closed.
    let _closed = writeln!(anstream::stderr().lock(), "{}", harmless(text));
}

/// Without control characters, but for colours: names and outputs of actions come from anywhere,
/// and must not steer the terminal.
pub fn harmless(text: &str) -> String {
    let mut harmless = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let length = colour(rest).unwrap_or(c.len_utf8());
        if length == 1 && c.is_control() && c != '\n' && c != '\t'
            || ('\u{80}'..'\u{a0}').contains(&c)
        {
            harmless.push(char::REPLACEMENT_CHARACTER);
        } else {
            harmless.push_str(&rest[..length]);
        }
        rest = &rest[length..];
    }
    harmless
}

/// Length of the colour that the text begins with: `ESC [ numbers m`.
fn colour(text: &str) -> Option<usize> {
    let numbers = text.strip_prefix("\u{1b}[")?;
    let end = numbers.find(|c: char| !c.is_ascii_digit() && c != ';')?;
    numbers[end..].starts_with('m').then_some(end + 3)
}
