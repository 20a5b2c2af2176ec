//! Hostile text: no panic, no long wait, and every refusal has a place inside the text.

mod common;

use flux_lang::compile;
use proptest::prelude::*;
use std::fmt::Write as _;
use std::time::{Duration, Instant};

/// Longest that any text may take; generous, because machines are shared and tests unoptimised.
const PATIENCE: Duration = Duration::from_secs(20);

fn judge(text: &str) {
    let start = Instant::now();
    if let Err(report) = compile(text, "hostile") {
        assert!(!report.diagnostics.is_empty(), "refused without a reason");
        let lines = text.split('\n').count();
        for one in &report.diagnostics {
            assert!(
                one.line >= 1 && one.line as usize <= lines.max(1),
                "{one:?}"
            );
            let line = text
                .split('\n')
                .nth(one.line as usize - 1)
                .unwrap_or_default();
            assert!(one.column as usize <= line.chars().count() + 1, "{one:?}");
        }
        assert!(!report.to_string().is_empty());
    }
    assert!(start.elapsed() < PATIENCE, "took {:?}", start.elapsed());
}

#[test]
fn deep_nesting_is_refused() {
    for text in [
        "[".repeat(100_000),
        "{a: ".repeat(100_000),
        "- ".repeat(100_000),
    ] {
        judge(&text);
        assert!(compile(&text, "t").is_err());
    }
}

#[test]
fn an_alias_bomb_is_refused() {
    let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x]\n");
    for level in 1..20 {
        let below = format!("*a{}", level - 1);
        let items = vec![below; 9].join(", ");
        let _ = writeln!(bomb, "a{level}: &a{level} [{items}]");
    }
    judge(&bomb);
    let report = compile(&bomb, "t").expect_err("it is a bomb");
    assert!(report.diagnostics.iter().any(|one| one.code == "FLUX-L003"));
    judge("a: &a [*a]");
}

#[test]
fn long_lines_and_odd_characters_are_survived() {
    judge(&"x".repeat(1 << 20));
    judge(&format!("{}: 1", "k".repeat((1 << 20) - 10)));
    judge(&"x".repeat((1 << 20) + 1));
    for text in [
        "\0",
        "a: \0",
        "\u{feff}do: []",
        "\t- a",
        "a:\tb\r\n\tc: d",
        "%YAML 9\n",
        "---\n---\n",
    ] {
        judge(text);
    }
}

#[test]
fn byte_order_marks_carriage_returns_and_json_are_read() {
    let yaml = "document: { dsl: '1.0.3', namespace: a, name: b, version: '1.0.0' }\ndo:\n- a: { set: { x: 1 } }\n";
    let json = r#"{"document":{"dsl":"1.0.3","namespace":"a","name":"b","version":"1.0.0"},"do":[{"a":{"set":{"x":1}}}]}"#;
    for text in [
        yaml.to_owned(),
        format!("\u{feff}{yaml}"),
        yaml.replace('\n', "\r\n"),
        json.to_owned(),
    ] {
        if let Err(report) = compile(&text, "t") {
            panic!("{report}");
        }
    }
}

/// A change to a text.
#[derive(Clone, Debug)]
enum Change {
    DropLine(usize),
    TwiceLine(usize),
    SwapLines(usize, usize),
    Put(usize, char),
    Cut(usize, usize),
}

fn change() -> impl Strategy<Value = Change> {
    let any = any::<prop::sample::Index>().prop_map(|index| index.index(100_000));
    prop_oneof![
        any.clone().prop_map(Change::DropLine),
        any.clone().prop_map(Change::TwiceLine),
        (any.clone(), any.clone()).prop_map(|(a, b)| Change::SwapLines(a, b)),
        (
            any.clone(),
            prop::sample::select(
                "{}[]:-&*!|>'\"%@`$.#,\t\u{0}é😀 \n"
                    .chars()
                    .collect::<Vec<_>>()
            )
        )
            .prop_map(|(at, c)| Change::Put(at, c)),
        (any, 1..40_usize).prop_map(|(at, n)| Change::Cut(at, n)),
    ]
}

fn apply(text: &str, change: &Change) -> String {
    let mut lines: Vec<&str> = text.split('\n').collect();
    let mut chars: Vec<char> = text.chars().collect();
    let (count, length) = (lines.len(), chars.len().max(1));
    match change {
        Change::DropLine(at) => {
            lines.remove(at % count);
        }
        Change::TwiceLine(at) => lines.insert(at % count, lines[at % count]),
        Change::SwapLines(a, b) => lines.swap(a % count, b % count),
        Change::Put(at, c) => {
            chars.insert((at % length).min(chars.len()), *c);
            return chars.into_iter().collect();
        }
        Change::Cut(at, n) => {
            let start = (at % length).min(chars.len());
            chars.drain(start..(start + n).min(chars.len()));
            return chars.into_iter().collect();
        }
    }
    lines.join("\n")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn changed_examples_never_break_the_compiler(
        which in any::<prop::sample::Index>(),
        changes in prop::collection::vec(change(), 1..6),
    ) {
        let Some(examples) = common::examples() else { return Ok(()) };
        let mut text = which.get(&examples).1.clone();
        for change in &changes {
            text = apply(&text, change);
        }
        judge(&text);
    }

    #[test]
    fn any_text_is_judged(text in "[\\PC\n\t]{0,200}") {
        judge(&text);
    }
}
