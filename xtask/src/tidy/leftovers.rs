//! No reminders in the source: what is not done yet is a sentence in `CHANGELOG.md`, "Known gaps".

use super::source::{is_test_file, production_lines};
use super::{Problem, Tree};

/// Written in halves so that this file does not find itself.
const REMINDERS: [&str; 3] = [
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("XX", "X"),
];
const SOURCES: [&str; 7] = [".rs", ".toml", ".proto", ".sql", ".sh", ".yaml", ".yml"];

/// Reminders in source files, outside tests.
pub fn check(tree: &Tree) -> Vec<Problem> {
    let sources = tree.files().iter().filter(|(path, _)| {
        SOURCES.iter().any(|ending| path.ends_with(ending)) && !is_test_file(path)
    });
    sources
        .flat_map(|(path, text)| in_file(path, text))
        .collect()
}

fn in_file(path: &str, text: &str) -> Vec<Problem> {
    let lines = text.lines().take(production_lines(text)).enumerate();
    let problem = |(index, line): (usize, &str)| {
        let word = REMINDERS.iter().find(|word| has_word(line, word))?;
        Some(Problem {
            path: path.to_owned(),
            line: Some(index + 1),
            message: format!("`{word}`: do it, or say it in CHANGELOG.md, \"Known gaps\""),
        })
    };
    lines.filter_map(problem).collect()
}

fn has_word(line: &str, word: &str) -> bool {
    line.split(|c: char| !c.is_alphanumeric() && c != '_')
        .any(|w| w == word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reminder_outside_tests_is_a_problem() {
        let reminder = format!("fn a() {{}}\n// {}: later\n", REMINDERS[0]);
        let tested = format!(
            "fn a() {{}}\n#[cfg(test)]\nmod tests {{\n    // {}\n}}\n",
            REMINDERS[1]
        );
        let tree = Tree::of(&[
            ("a.rs", &reminder),
            ("b.rs", &tested),
            ("c.md", &reminder),
            ("crates/x/tests/d.rs", &reminder),
        ]);
        let problems = check(&tree);
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert_eq!(
            (problems[0].path.as_str(), problems[0].line),
            ("a.rs", Some(2))
        );
    }

    #[test]
    fn only_the_whole_word_counts() {
        assert!(has_word(
            &format!("//{}(later)", REMINDERS[0]),
            REMINDERS[0]
        ));
        assert!(!has_word(&format!("{}S_LEFT", REMINDERS[0]), REMINDERS[0]));
    }
}
