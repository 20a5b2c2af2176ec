//! Help, exit codes, and the shapes that programs rely on.

use crate::home::{Home, errors};
use serde_json::{Value, json};

const FAULTY: &str =
    "  - no: { raise: { error: { type: 'https://example.com/no', status: 400 } } }\n";

#[test]
fn help_names_commands_and_exit_codes() {
    let home = Home::new();
    let help = home.text(&["--help"]);
    let help: Vec<&str> = help.split_whitespace().collect();
    let help = help.join(" ");
    for word in [
        "run",
        "watch",
        "cancel",
        "recover",
        "78 configuration error",
        "--color",
    ] {
        assert!(help.contains(word), "{word}");
    }
    for command in [
        "run", "submit", "list", "watch", "cancel", "recover", "validate",
    ] {
        let help = home.text(&[command, "--help"]);
        assert!(help.contains("Example"), "{command}: {help}");
    }
    assert_eq!(
        home.flux(&[]).status.code(),
        Some(2),
        "nothing to do is wrong usage"
    );
}

#[test]
fn each_kind_of_failure_has_its_exit_code() {
    let home = Home::new();
    let faulty = home.definition("faulty", FAULTY);
    let nap = home.definition("nap", "  - nap: { wait: { hours: 1 } }\n");
    let wrong = home.definition("wrong", "  - no: { sett: {} }\n");
    let cases: &[(i32, &[&str])] = &[
        (2, &["list", "--limit", "many"]),
        (2, &["unheard-of"]),
        (3, &["run", &faulty]),
        (5, &["run", &nap, "--timeout", "0"]),
        (6, &["validate", &wrong]),
        (6, &["run", &wrong]),
        (6, &["run", &nap, "--input", "{"]),
        (7, &["show", "00000000-0000-7000-8000-000000000000"]),
        (7, &["run", "no-such-file.yaml"]),
        (7, &["schedule", "next", "a/b"]),
        (78, &["--concurrency-level", "0", "list"]),
        (78, &["--config", "no-such-file.toml", "list"]),
    ];
    for (code, args) in cases {
        let (found, message) = home.fails(args);
        assert_eq!(found, Some(*code), "flux {args:?}: {message}");
        assert!(message.contains("error:"), "flux {args:?}: {message}");
    }
}

#[test]
fn signalling_a_run_that_has_ended_is_a_conflict() {
    let home = Home::new();
    home.text(&["run", "examples/hello/workflow.yaml"]);
    let id = home.run_id();
    assert_eq!(home.fails(&["signal", &id, "any"]).0, Some(8));
    assert_eq!(home.fails(&["recover", &id]).0, Some(8));
}

#[test]
fn a_store_that_cannot_be_opened_is_unavailable_and_left_alone() {
    let home = Home::new();
    home.file(
        "flux.db",
        "this is a text, and it is longer than the header of a database is",
    );
    for args in [&["list"][..], &["db", "status"], &["db", "backup", "x.db"]] {
        let (code, message) = home.fails(args);
        assert_eq!(code, Some(69), "{args:?}: {message}");
        assert!(message.contains("not a SQLite database"), "{message}");
    }
    let text = std::fs::read_to_string(home.path("flux.db")).unwrap();
    assert!(text.starts_with("this is a text"));
}

#[test]
fn status_of_a_store_that_is_not_there_creates_nothing() {
    let home = Home::new();
    assert!(home.text(&["db", "status"]).contains("does not exist yet"));
    let status = home.json(&["db", "status", "-o", "json"]);
    assert_eq!(status["exists"], json!(false));
    assert_eq!(
        home.fails(&["db", "prune", "--older-than", "+1d"]).0,
        Some(7)
    );
    assert!(!home.path("flux.db").exists());
    home.text(&["db", "migrate"]);
    let status = home.json(&["db", "status", "-o", "json"]);
    assert_eq!(status["exists"], json!(true));
    assert_eq!(status["pending"], json!([]));
    assert_eq!(status["journal_mode"], json!("wal"));
    assert!(status["size_bytes"].as_u64().unwrap() > 0, "{status}");
}

#[test]
fn yaml_says_the_same_as_json() {
    let home = Home::new();
    let awkward =
        "  - x: { set: { a: 'yes', b: '1.0', c: \"two\\nlines: #\", d: null, e: [], f: {} } }\n";
    let file = home.definition("awkward", awkward);
    home.text(&["run", &file]);
    home.text(&["workflow", "deploy", "examples/nightly-close/workflow.yaml"]);
    let id = home.run_id();
    let commands: &[&[&str]] = &[
        &["list"],
        &["show", &id],
        &["history", &id],
        &["why", &id],
        &["workflow", "list"],
        &["schedule", "list"],
        &["schedule", "next", "finance/nightly-close"],
        &["cluster", "status"],
        &["cluster", "failovers"],
        &["config", "show"],
        &["validate", &file],
    ];
    for command in commands {
        let json = home.json(&[command, &["-o", "json"][..]].concat());
        let yaml = home.text(&[command, &["-o", "yaml"][..]].concat());
        let yaml: Value = serde_saphyr::from_str(&yaml).unwrap();
        assert_eq!(yaml, json, "{command:?}");
    }
}

#[test]
fn the_shapes_that_programs_rely_on() {
    let home = Home::new();
    let faulty = home.definition("faulty", FAULTY);
    home.fails(&["run", &faulty]);
    let run = home.json(&["list", "-o", "json"])["runs"][0].clone();
    assert_eq!(run["state"], json!("faulted"));
    assert_eq!(run["namespace"], json!("test"));
    assert_eq!(run["fault"]["status"], json!(400), "{run}");
    let id = home.run_id();
    let show = home.json(&["show", &id[..20], "-o", "json"]);
    assert_eq!(show["branches"][0]["state"], json!("failed"), "{show}");
    let history = home.json(&["history", &id, "-o", "json"]);
    assert_eq!(history["history"][0]["commit_no"], json!(1), "{history}");
    let why = home.json(&["why", &id, "-o", "json"]);
    assert!(why["reasons"][0]["reason"].is_string(), "{why}");
    let status = home.json(&["cluster", "status", "-o", "json"]);
    assert!(status["engines"].is_array(), "{status}");
    let keys = home.json(&["config", "show", "-o", "json"])["keys"].clone();
    let dir = keys
        .as_array()
        .unwrap()
        .iter()
        .find(|key| key["key"] == "data_dir");
    assert_eq!(dir.unwrap()["source"], json!("FLUX_DATA_DIR"));
}

#[test]
fn quiet_leaves_data_alone_and_colours_come_only_when_wanted() {
    let home = Home::new();
    let output = home.flux(&["run", "examples/hello/workflow.yaml", "--quiet"]);
    assert_eq!(errors(&output), "");
    assert!(!output.stdout.is_empty());
    assert!(!home.fails(&["show", "none"]).1.contains('\u{1b}'));
    assert!(
        home.fails(&["--color", "always", "show", "none"])
            .1
            .contains('\u{1b}')
    );
}

#[test]
fn a_terminal_gets_moving_lines_and_a_file_does_not() {
    let home = Home::new();
    let file = home.definition(
        "slow",
        "  - slow: { run: { shell: { command: 'sleep 1' } } }\n",
    );
    assert!(!errors(&home.flux(&["run", &file])).contains('\u{1b}'));
    let spawn = "import pty, sys; sys.exit(pty.spawn(sys.argv[1:]) >> 8)";
    let mut terminal = std::process::Command::new("python3");
    let flux = home.command(&[]);
    terminal.args(["-c", spawn, env!("CARGO_BIN_EXE_flux"), "run", &file]);
    for (name, value) in flux.get_envs() {
        match value {
            Some(value) => terminal.env(name, value),
            None => terminal.env_remove(name),
        };
    }
    let output = terminal.env("TERM", "xterm").output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}");
    assert!(
        text.contains("\u{1b}[2K"),
        "a line was drawn anew: {text:?}"
    );
    assert!(text.contains("+ slow in 1."), "{text:?}");
}

#[test]
fn watch_shows_what_was_done_and_ends_as_the_run_did() {
    let home = Home::new();
    home.text(&["run", "examples/hello/workflow.yaml"]);
    let id = home.run_id();
    let output = home.flux(&["watch", &id]);
    let result: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(result["run"], json!(id));
    assert!(errors(&output).contains("disk"), "{}", errors(&output));
    let nap = home.definition("nap", "  - nap: { wait: { hours: 1 } }\n");
    let id = home.text(&["submit", &nap]);
    assert_eq!(
        home.fails(&["watch", "--timeout", "1", id.trim()]).0,
        Some(5)
    );
}

#[test]
fn a_mistyped_setting_is_named_with_the_one_that_was_meant() {
    let home = Home::new();
    let file = home.file(
        "wrong.toml",
        "failover_time_windw = '+5s'\nconcurrency_level = 'x'\n",
    );
    let (code, message) = home.fails(&["--config", &file, "config", "check"]);
    assert_eq!(code, Some(78));
    assert!(
        message.contains("did you mean `failover_time_window`?"),
        "{message}"
    );
    assert!(
        message.contains("CONCURRENCY_LEVEL"),
        "all faults at once: {message}"
    );
}
