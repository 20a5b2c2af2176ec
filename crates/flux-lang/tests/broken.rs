//! Broken definitions: the code and the place of what is reported.

use flux_lang::{CODES, compile};

/// A definition with this list of tasks; the list starts at line 2.
fn workflow(tasks: &str) -> String {
    format!("document: {{ dsl: '1.0.3', namespace: a, name: b, version: '1.0.0' }}\ndo:\n{tasks}")
}

/// The codes and places that a text is refused with.
fn found(text: &str) -> Vec<(&'static str, u32, u32)> {
    match compile(text, "t.yaml") {
        Ok(compiled) => compiled.warnings.diagnostics,
        Err(report) => report.diagnostics,
    }
    .iter()
    .map(|one| (one.code, one.line, one.column))
    .collect()
}

/// Code, line, column.
type Finding = (&'static str, u32, u32);

/// Tasks from line 3 on, and what is found.
const TASKS: &[(&str, &[Finding])] = &[
    ("- a: { set: { x: 1 }, thn: end }", &[("FLUX-L010", 3, 23)]),
    ("- a: { st: { x: 1 } }", &[("FLUX-L014", 3, 8)]),
    (
        "- a: { set: { x: 1 }, wait: PT1S }",
        &[("FLUX-L014", 3, 23)],
    ),
    ("- a: { if: true, set: { x: 1 } }", &[("FLUX-L012", 3, 12)]),
    ("- a: { set: { x: 1 }, then: c }", &[("FLUX-L023", 3, 29)]),
    ("- a: { set: '${ .x + }' }", &[("FLUX-L020", 3, 22)]),
    ("- a: { set: { x: 'Hi ${ .x }' } }", &[("FLUX-L021", 3, 22)]),
    (
        "- a: { run: { shell: { command: 'echo ${ .x }' } } }",
        &[("FLUX-L021", 3, 39)],
    ),
    (
        "- a: { run: { shell: { command: 'echo ${HOME} ${.5}' } } }",
        &[],
    ),
    (
        "- a: { set: { x: '${ $nobody }' } }",
        &[("FLUX-L020", 3, 22)],
    ),
    ("- a: { wait: 5 }", &[("FLUX-L012", 3, 14)]),
    ("- a: { wait: PT5X }", &[("FLUX-L024", 3, 14)]),
    (
        "- a: { wait: { second: 5 } }",
        &[("FLUX-L024", 3, 14), ("FLUX-L010", 3, 16)],
    ),
    (
        "- a: { raise: { error: { type: x } } }",
        &[("FLUX-L011", 3, 26)],
    ),
    ("- a: { raise: { error: lost } }", &[("FLUX-L022", 3, 24)]),
    (
        "- a: { raise: { error: { type: x, status: 5 } } }",
        &[("FLUX-L013", 3, 43)],
    ),
    ("- a: { do: [] }", &[("FLUX-L016", 3, 12)]),
    (
        "- a: { set: { x: 1 } }\n- a: { set: { x: 1 } }",
        &[("FLUX-L017", 4, 3)],
    ),
    ("- end: { set: { x: 1 } }", &[("FLUX-L018", 3, 3)]),
    (
        "- a: { set: { x: 1 } }\n  b: { set: { x: 1 } }",
        &[("FLUX-L015", 4, 3)],
    ),
    ("- a: { set: { x: 1, x: 2 } }", &[("FLUX-L002", 3, 21)]),
    ("- a: { call: grpc, with: {} }", &[("FLUX-L101", 3, 14)]),
    ("- a: { call: nobody }", &[("FLUX-L022", 3, 14)]),
    (
        "- a: { call: https://x.org/function.yaml }",
        &[("FLUX-L108", 3, 14)],
    ),
    (
        "- a: { call: http, with: { method: gte, endpoint: 'http://x' } }",
        &[("FLUX-L013", 3, 36)],
    ),
    (
        "- a: { call: http, with: { method: get, endpoint: 'ftp://x' } }",
        &[("FLUX-L028", 3, 51)],
    ),
    (
        "- a: { call: http, with: { method: get, endpoint: 'http://x/{y' } }",
        &[("FLUX-L028", 3, 61)],
    ),
    (
        "- a: { run: { container: { image: x } } }",
        &[("FLUX-L106", 3, 15)],
    ),
    (
        "- a: { run: { script: { language: cobol, code: x } } }",
        &[("FLUX-L112", 3, 35)],
    ),
    (
        "- a: { switch: [ { x: { then: end } }, { y: { when: .a, then: end } } ] }",
        &[("FLUX-L029", 3, 20)],
    ),
    (
        "- a: { set: { x: 1 }, metadata: { flux: { brk: none } } }",
        &[("FLUX-L010", 3, 43)],
    ),
    (
        "- a: { set: { x: 1 }, metadata: { flux: { break: never } } }",
        &[("FLUX-L013", 3, 50)],
    ),
    (
        "- a: { call: timer:1@default, with: { at: gibberish } }",
        &[("FLUX-L026", 3, 43)],
    ),
    (
        "- a: { set: { x: 1 }, output: { schema: { document: { type: 5 } } } }",
        &[("FLUX-L027", 3, 53)],
    ),
    ("- a: { set: { x: !foo 1 } }", &[("FLUX-L004", 3, 23)]),
    (
        "- a: { set: { x: 1 }, then: end }\n- b: { set: { x: 1 } }",
        &[("FLUX-L201", 4, 3)],
    ),
    ("- a: { set: { x: 1 }, then: a }", &[("FLUX-L202", 3, 3)]),
    ("- a: { set: { x: $context } }", &[("FLUX-L204", 3, 18)]),
    ("- a: { set: { x: yes } }", &[("FLUX-L205", 3, 18)]),
    (
        "- a: { set: { x: 1 }, then: nowhere }\n- b: { wait: soon }",
        &[("FLUX-L023", 3, 29), ("FLUX-L024", 4, 14)],
    ),
];

#[test]
fn each_mistake_has_its_code_and_its_place() {
    let mut wrong = Vec::new();
    for (tasks, expected) in TASKS {
        let found = found(&workflow(tasks));
        if found != *expected {
            wrong.push(format!("{tasks}\n  found {found:?}\n  not   {expected:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_text_without_a_definition_says_so() {
    assert_eq!(found(""), [("FLUX-L005", 1, 1)]);
    assert_eq!(found("# nothing\n"), [("FLUX-L005", 1, 1)]);
    assert_eq!(found("[]"), [("FLUX-L012", 1, 1)]);
    assert!(found("do: [").iter().all(|one| one.0 == "FLUX-L001"));
    assert!(found("{\"a\": \0}").iter().all(|one| one.0 == "FLUX-L001"));
}

#[test]
fn every_code_is_listed_once() {
    let codes: std::collections::BTreeSet<_> = CODES.iter().map(|info| info.code).collect();
    assert_eq!(codes.len(), CODES.len());
    for (_, expected) in TASKS {
        assert!(expected.iter().all(|one| codes.contains(one.0)));
    }
}

#[test]
fn the_report_shows_the_line_and_the_advice() {
    let report = compile(&workflow("- a: { set: { x: 1 }, thn: end }"), "t.yaml")
        .expect_err("the key is wrong")
        .to_string();
    assert!(
        report.contains("error[FLUX-L010]: `thn` means nothing"),
        "{report}"
    );
    assert!(
        report.contains("--> t.yaml:3:23") || report.contains("--> t.yaml:3:24"),
        "{report}"
    );
    assert!(report.contains("did you mean `then`?"), "{report}");
    assert!(report.contains("^^^"), "{report}");
}

/// A definition whose `metadata.flux` is this, in line 1.
fn with_flux(flux: &str) -> String {
    format!(
        "document: {{ dsl: '1.0.3', namespace: a, name: b, version: '1.0.0', metadata: {{ flux: {flux} }} }}\n\
         do:\n- x: {{ set: {{ y: 1 }} }}"
    )
}

#[test]
fn limits_and_labels_are_checked() {
    let codes = |flux: &str| -> Vec<&str> {
        let found = found(&with_flux(flux));
        found.into_iter().map(|one| one.0).collect()
    };
    assert!(
        codes("{ concurrency: { cluster: 4, engine: 1 }, requires: { gpu: a100 } }").is_empty()
    );
    assert_eq!(codes("{ concurrency: 4 }"), ["FLUX-L012"]);
    assert_eq!(codes("{ concurrency: {} }").len(), 1);
    assert_eq!(codes("{ concurrency: { cluster: 0 } }").len(), 1);
    assert!(codes("{ concurrency: { host: 1 } }").contains(&"FLUX-L010"));
    assert_eq!(codes("{ requires: gpu }"), ["FLUX-L012"]);
    assert_eq!(codes("{ requires: { gpu: 'a=b' } }").len(), 1);
    assert_eq!(codes("{ requires: { gpu: 5 } }"), ["FLUX-L012"]);
}

#[test]
fn tasks_inherit_what_is_required_around_them() {
    let text = "document: { dsl: '1.0.3', namespace: a, name: b, version: '1.0.0', metadata: { flux: \
                { requires: { zone: eu } } } }\n\
                do:\n\
                - outer:\n    \
                    metadata: { flux: { requires: { gpu: any } } }\n    \
                    do:\n    \
                    - inner: { set: { y: 1 }, metadata: { flux: { requires: { gpu: a100 } } } }\n";
    let chart = compile(text, "t.yaml").expect("it is right").chart;
    let required: Vec<String> = chart
        .nodes
        .iter()
        .map(|node| node.requires.to_string())
        .collect();
    assert_eq!(required, ["zone=eu", "gpu=any,zone=eu", "gpu=a100,zone=eu"]);
    assert_eq!(chart.required_pools().len(), 3);
}
