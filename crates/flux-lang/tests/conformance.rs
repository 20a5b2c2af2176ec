//! The standard's own files: its examples and the definitions of its conformance kit.

mod common;

use flux_lang::{Severity, compile};
use std::collections::BTreeSet;

/// Examples that are refused, and the code that says why. All others compile.
const REFUSED: &[(&str, &str)] = &[
    ("accumulate-room-readings.yaml", "FLUX-L102"),
    ("authentication-oauth2-secret.yaml", "FLUX-L110"),
    ("authentication-oidc-secret.yaml", "FLUX-L110"),
    ("authentication-oidc.yaml", "FLUX-L114"),
    ("call-asyncapi-publish.yaml", "FLUX-L103"),
    ("call-asyncapi-subscribe-consume-amount.yaml", "FLUX-L103"),
    (
        "call-asyncapi-subscribe-consume-forever-foreach.yaml",
        "FLUX-L103",
    ),
    ("call-asyncapi-subscribe-consume-until.yaml", "FLUX-L103"),
    ("call-asyncapi-subscribe-consume-while.yaml", "FLUX-L103"),
    ("call-custom-function-cataloged.yaml", "FLUX-L108"),
    ("call-grpc.yaml", "FLUX-L101"),
    ("call-mcp.yaml", "FLUX-L105"),
    ("call-openapi-redirect.yaml", "FLUX-L102"),
    ("call-openapi.yaml", "FLUX-L102"),
    ("mock-service-extension.yaml", "FLUX-L107"),
    ("run-container-cleanup-always.yaml", "FLUX-L106"),
    ("run-container-cleanup-eventually.yaml", "FLUX-L106"),
    ("run-container-stdin-and-arguments.yaml", "FLUX-L106"),
    ("run-container-with-name.yaml", "FLUX-L106"),
    ("run-container-with-pull-policy.yaml", "FLUX-L106"),
    ("run-container.yaml", "FLUX-L106"),
    ("run-return-all.yaml", "FLUX-L106"),
    ("run-return-code.yaml", "FLUX-L106"),
    ("run-return-none.yaml", "FLUX-L106"),
    ("run-return-stderr.yaml", "FLUX-L106"),
    ("schedule-event-driven.yaml", "FLUX-L109"),
    ("set-expression.yaml", "FLUX-L109"),
    ("set.yaml", "FLUX-L109"),
];

#[test]
fn every_example_compiles_or_is_refused_for_a_feature_that_is_not_supported() {
    let Some(examples) = common::examples() else {
        return;
    };
    assert_eq!(
        examples.len(),
        68,
        "the standard has another number of examples now"
    );
    for (name, text) in &examples {
        let refused = REFUSED.iter().find(|(file, _)| file == name);
        match (compile(text, name), refused) {
            (Ok(_), None) => {}
            (Ok(_), Some((_, code))) => panic!("{name} compiles, but {code} was expected"),
            (Err(report), None) => panic!("{name} is refused:\n{report}"),
            (Err(report), Some((_, code))) => {
                let errors: BTreeSet<_> = report
                    .diagnostics
                    .iter()
                    .filter(|found| found.severity == Severity::Error)
                    .map(|found| found.code)
                    .collect();
                assert_eq!(errors, BTreeSet::from([*code]), "{name}:\n{report}");
            }
        }
    }
    assert_eq!(REFUSED.len() + 40, examples.len());
}

/// The YAML blocks that follow "Given a workflow with definition", without their indentation.
fn definitions(feature: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut lines = feature.lines();
    while let Some(line) = lines.next() {
        if !line.contains("a workflow with definition") {
            continue;
        }
        let fence = lines.next().expect("a block follows");
        let indent = fence.len() - fence.trim_start().len();
        let block = lines
            .by_ref()
            .take_while(|line| !line.trim_start().starts_with("\"\"\""));
        let text: Vec<_> = block.map(|line| line.get(indent..).unwrap_or("")).collect();
        found.push(text.join("\n"));
    }
    found
}

#[test]
fn every_definition_of_the_conformance_kit_compiles_but_those_that_call_openapi() {
    let Some(folder) = common::conformance() else {
        return;
    };
    let mut count = 0;
    for entry in std::fs::read_dir(folder.join("ctk/features")).expect("the kit has features") {
        let path = entry.expect("the entry can be read").path();
        let feature = std::fs::read_to_string(&path).expect("the feature can be read");
        for definition in definitions(&feature) {
            count += 1;
            match compile(&definition, "feature") {
                Ok(compiled) => {
                    assert!(!definition.contains("call: openapi"));
                    assert!(compiled.warnings.is_empty(), "{}", compiled.warnings);
                }
                Err(report) => {
                    assert!(
                        definition.contains("call: openapi"),
                        "{}:\n{report}",
                        path.display()
                    );
                    assert!(
                        report
                            .diagnostics
                            .iter()
                            .all(|found| found.code == "FLUX-L102")
                    );
                }
            }
        }
    }
    assert_eq!(count, 21);
}
