//! Writes `docs/reference/configuration.md` and `cli.md`, and fails when they are stale.
//! `FLUX_UPDATE_DOCS=1 cargo test -p flux reference` brings them up to date.

use crate::config::{KEYS, variable};
use clap::{Arg, Command, CommandFactory};
use std::fmt::Write;
use std::path::Path;

#[test]
fn the_page_of_all_settings_is_up_to_date() {
    compare("configuration.md", &configuration());
}

#[test]
fn the_page_of_all_commands_is_up_to_date() {
    compare("cli.md", &commands());
}

fn compare(name: &str, expected: &str) {
    let page = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../docs/reference")
        .join(name);
    if std::env::var_os("FLUX_UPDATE_DOCS").is_some() {
        std::fs::write(&page, expected).expect("the page can be written");
    }
    let found = std::fs::read_to_string(&page).unwrap_or_default();
    assert!(
        found == expected,
        "docs/reference/{name} is stale: FLUX_UPDATE_DOCS=1 cargo test -p flux reference"
    );
}

fn configuration() -> String {
    let mut page = "# Settings\n\n\
        Each setting comes from, in this order: a flag, a variable, `./flux.toml` (or the file that \
        `--config`\nnames), `$XDG_CONFIG_HOME/flux/config.toml` (`~/.config/flux/config.toml`), its \
        default.\n`flux config show` prints the value of each and where it came from; `flux config \
        check` lists all\nfaults at once, with exit code 78. Times are expressions such as `+3m` or \
        `+1H+30m`.\n\n\
        | key in `flux.toml` | variable | default | meaning |\n|---|---|---|---|\n"
        .to_owned();
    for key in KEYS {
        let default = match key.default {
            "" => "-".to_owned(),
            text => format!("`{text}`"),
        };
        let (name, variable) = (key.name, variable(key.name));
        let meaning = cell(key.meaning);
        line(
            &mut page,
            &format!("| `{name}` | `{variable}` | {default} | {meaning} |"),
        );
    }
    page
}

fn commands() -> String {
    let mut root = crate::Cli::command();
    root.build();
    let mut page = "# Commands\n".to_owned();
    line(&mut page, "\nWhat `flux COMMAND --help` says, on one page.");
    let global = root.get_arguments().filter(|arg| arg.is_global_set());
    line(&mut page, "\nEvery command takes these:\n");
    arguments(&mut page, global.collect());
    for command in root.get_subcommands() {
        if command.get_name() != "help" {
            section(&mut page, command, "flux");
        }
    }
    line(&mut page, "\n## Exit codes\n");
    let after = root
        .get_after_help()
        .map(ToString::to_string)
        .unwrap_or_default();
    let codes = after
        .split_once("Exit codes: ")
        .map_or("", |(_, codes)| codes);
    for code in codes.split(", ") {
        let (number, meaning) = code.split_once(' ').unwrap_or((code, ""));
        line(&mut page, &format!("- `{number}` {meaning}"));
    }
    page
}

fn section(page: &mut String, command: &Command, above: &str) {
    let name = format!("{above} {}", command.get_name());
    let depth = "#".repeat(name.split(' ').count());
    line(page, &format!("\n{depth} {name}\n"));
    let about = command.get_long_about().or(command.get_about());
    let about = about.map(ToString::to_string).unwrap_or_default();
    let (text, examples) = match about.split_once("\nExample") {
        Some((text, rest)) => (text, rest.split_once('\n').map_or("", |(_, all)| all)),
        None => (about.as_str(), ""),
    };
    line(page, text.trim_end());
    if !examples.is_empty() {
        line(page, "\n```sh");
        for example in examples.lines() {
            line(page, example.trim());
        }
        line(page, "```");
    }
    let own = command
        .get_arguments()
        .filter(|arg| !arg.is_global_set() && arg.get_id() != "help" && !arg.is_hide_set());
    let own: Vec<&Arg> = own.collect();
    if !own.is_empty() {
        line(page, "");
        arguments(page, own);
    }
    for below in command.get_subcommands() {
        if below.get_name() != "help" {
            section(page, below, &name);
        }
    }
}

fn arguments(page: &mut String, all: Vec<&Arg>) {
    line(page, "| argument | meaning |\n|---|---|");
    for arg in all {
        let short = arg
            .get_short()
            .map(|c| format!("-{c}, "))
            .unwrap_or_default();
        let (name, help) = (cell(&arg.to_string()), arg.get_help());
        let mut meaning = help.map(ToString::to_string).unwrap_or_default();
        let values: Vec<String> = arg
            .get_possible_values()
            .iter()
            .map(|value| format!("`{}`", value.get_name()))
            .collect();
        let flag = !arg.get_action().takes_values();
        if !values.is_empty() && !flag {
            meaning = format!("{meaning}: {}", values.join(", "));
        }
        let defaults = arg.get_default_values().iter();
        let defaults: Vec<_> = defaults.map(|value| value.to_string_lossy()).collect();
        if !defaults.is_empty() && !flag {
            meaning = format!("{meaning} (default `{}`)", defaults.join(" "));
        }
        line(page, &format!("| `{short}{name}` | {} |", cell(&meaning)));
    }
}

/// A pipe would end the cell.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

fn line(page: &mut String, text: &str) {
    writeln!(page, "{text}").expect("text takes text");
}
