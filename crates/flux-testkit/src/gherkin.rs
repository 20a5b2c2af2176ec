//! Reads the subset of Gherkin that the conformance kit uses: features, scenarios, steps, doc
//! strings, comments. Anything else panics, so that a new kit cannot be half understood.

use std::path::{Path, PathBuf};

/// A `.feature` file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Feature {
    /// After `Feature:`.
    pub name: String,
    /// In the order of the file.
    pub scenarios: Vec<Scenario>,
}

/// One scenario.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scenario {
    /// After `Scenario:`.
    pub name: String,
    /// In the order of the file.
    pub steps: Vec<Step>,
}

/// One step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Without `Given`, `When`, `Then`, `And` or `But` (also not `And given`).
    pub text: String,
    /// The doc string that follows.
    pub doc: Option<Doc>,
}

/// A doc string.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Doc {
    /// After the opening quotes, such as `yaml`; may be empty.
    pub media: String,
    /// Without the indentation of the opening quotes.
    pub text: String,
}

const KEYWORDS: [&str; 7] = [
    "Given ",
    "When ",
    "Then ",
    "And given ",
    "And when ",
    "And ",
    "But ",
];

/// The features of the conformance kit of the Open Workflow DSL, where they are; `None`, and a word
/// about it, where they are not.
#[expect(clippy::print_stderr, reason = "a test that is skipped says so")]
pub fn kit() -> Option<Vec<(String, Feature)>> {
    let given = std::env::var_os("FLUX_CONFORMANCE_DIR").map(PathBuf::from);
    let beside =
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/conformance/open-workflow");
    let features = given.unwrap_or(beside).join("ctk/features");
    if !features.is_dir() {
        eprintln!("SKIPPED: no conformance kit; set FLUX_CONFORMANCE_DIR to its folder");
        return None;
    }
    Some(read_all(&features))
}

/// All features of a folder, ordered by file name.
pub fn read_all(folder: &Path) -> Vec<(String, Feature)> {
    let entries = std::fs::read_dir(folder)
        .unwrap_or_else(|error| panic!("cannot read {}: {error}", folder.display()));
    let mut paths: Vec<_> = entries
        .map(|entry| entry.expect("an entry of the folder").path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "feature")
        })
        .collect();
    paths.sort();
    let read = |path: &PathBuf| {
        let text = std::fs::read_to_string(path)
            .unwrap_or_else(|error| panic!("cannot read {}: {error}", path.display()));
        let name = path
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        (name, parse(&text))
    };
    paths.iter().map(read).collect()
}

/// Parses the text of a feature.
pub fn parse(text: &str) -> Feature {
    let mut feature = Feature {
        name: String::new(),
        scenarios: Vec::new(),
    };
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let trimmed = line.trim();
        if trimmed.is_empty() || trimmed.starts_with('#') {
            continue;
        }
        if let Some(name) = trimmed.strip_prefix("Feature:") {
            name.trim().clone_into(&mut feature.name);
        } else if let Some(name) = trimmed.strip_prefix("Scenario:") {
            let scenario = Scenario {
                name: name.trim().to_owned(),
                steps: Vec::new(),
            };
            feature.scenarios.push(scenario);
        } else if let Some(scenario) = feature.scenarios.last_mut() {
            if let Some(media) = trimmed.strip_prefix("\"\"\"") {
                let indent = line.len() - line.trim_start().len();
                let step = scenario
                    .steps
                    .last_mut()
                    .expect("a doc string follows a step");
                step.doc = Some(doc(media, indent, &mut lines));
            } else {
                let keyword = KEYWORDS
                    .iter()
                    .find_map(|keyword| trimmed.strip_prefix(keyword));
                let text = keyword.unwrap_or_else(|| panic!("`{trimmed}` is no step"));
                scenario.steps.push(Step {
                    text: text.to_owned(),
                    doc: None,
                });
            }
        } // else the free text below `Feature:`
    }
    feature
}

fn doc<'a>(media: &str, indent: usize, lines: &mut impl Iterator<Item = &'a str>) -> Doc {
    let mut text = String::new();
    for line in lines {
        if line.trim() == "\"\"\"" {
            return Doc {
                media: media.trim().to_owned(),
                text,
            };
        }
        let blank = line.len() - line.trim_start().len();
        text.push_str(&line[blank.min(indent)..]);
        text.push('\n');
    }
    panic!("a doc string is not closed");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_feature_is_read() {
        let feature = parse(
            "Feature: Do\n  As one\n  I want\n\n  # comment\n  Scenario: First\n    Given a workflow with definition:\n    \"\"\"yaml\n    do:\n      - a: # kept\n    \"\"\"\n    And given the workflow input is:\n      \"\"\"yaml\n      x: 1\n      \"\"\"\n    Then it ends\n  Scenario: Second\n    When x",
        );
        assert_eq!(feature.name, "Do");
        let names: Vec<_> = feature.scenarios.iter().map(|s| s.name.as_str()).collect();
        assert_eq!(names, ["First", "Second"]);
        let steps = &feature.scenarios[0].steps;
        assert_eq!(steps[0].text, "a workflow with definition:");
        let yaml = |text: &str| {
            Some(Doc {
                media: "yaml".to_owned(),
                text: text.to_owned(),
            })
        };
        assert_eq!(steps[0].doc, yaml("do:\n  - a: # kept\n"));
        assert_eq!(steps[1].text, "the workflow input is:");
        assert_eq!(steps[1].doc, yaml("x: 1\n"));
        assert_eq!(
            steps[2],
            Step {
                text: "it ends".to_owned(),
                doc: None
            }
        );
    }

    #[test]
    #[should_panic(expected = "is no step")]
    fn what_is_not_understood_is_refused() {
        parse("Feature: a\nScenario: b\n  Examples:");
    }
}
