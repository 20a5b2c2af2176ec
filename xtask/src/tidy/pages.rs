//! The two pages everybody reads first exist and stay readable.

use super::{Problem, Tree};

const MOST_ARCHITECTURE_LINES: usize = 299;
const TEST_COMMAND: &str = "cargo xtask test";

/// A missing or overlong `ARCHITECTURE.md`; a `README.md` without title or without the command
/// that runs the tests.
pub fn check(tree: &Tree) -> Vec<Problem> {
    let architecture = match tree.get("ARCHITECTURE.md") {
        None => Some("is missing".to_owned()),
        Some(text) => architecture(text),
    };
    let readme = match tree.get("README.md") {
        None => Some("is missing".to_owned()),
        Some(text) => readme(text),
    };
    let found = [("ARCHITECTURE.md", architecture), ("README.md", readme)];
    let problem = |(path, message): (&str, Option<String>)| {
        Some(Problem {
            path: path.to_owned(),
            line: None,
            message: message?,
        })
    };
    found.into_iter().filter_map(problem).collect()
}

fn architecture(text: &str) -> Option<String> {
    let lines = text.lines().count();
    (lines > MOST_ARCHITECTURE_LINES)
        .then(|| format!("{lines} lines, at most {MOST_ARCHITECTURE_LINES}: it is a map"))
}

fn readme(text: &str) -> Option<String> {
    if !text.starts_with("# ") {
        return Some("must begin with its title, `# ..`".to_owned());
    }
    (!text.contains(TEST_COMMAND)).then(|| format!("must name the command `{TEST_COMMAND}`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const README: (&str, &str) = ("README.md", "# Flux\n\n    cargo xtask test\n");
    const MAP: (&str, &str) = ("ARCHITECTURE.md", "# Map\n");

    fn messages(files: &[(&str, &str)]) -> Vec<String> {
        check(&Tree::of(files))
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn missing_pages_are_problems() {
        let expected = ["ARCHITECTURE.md: is missing", "README.md: is missing"];
        assert_eq!(messages(&[]), expected);
        assert_eq!(messages(&[README, MAP]), Vec::<String>::new());
    }

    #[test]
    fn an_overlong_map_is_a_problem() {
        let long = "x\n".repeat(300);
        assert_eq!(messages(&[README, ("ARCHITECTURE.md", &long)]).len(), 1);
        let fits = "x\n".repeat(299);
        assert_eq!(messages(&[README, ("ARCHITECTURE.md", &fits)]).len(), 0);
    }

    #[test]
    fn a_readme_without_title_or_test_command_is_a_problem() {
        let untitled = ("README.md", "cargo xtask test\n");
        assert!(messages(&[MAP, untitled])[0].contains("title"));
        let silent = ("README.md", "# Flux\n");
        assert!(messages(&[MAP, silent])[0].contains(TEST_COMMAND));
    }
}
