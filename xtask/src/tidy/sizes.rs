//! No Rust file is longer than a reader can hold: 500 lines without its trailing test module. What is
//! generated has no readers.

use super::source::production_lines;
use super::{Problem, Tree};

const MOST_LINES: usize = 500;

/// Files that are too long.
pub fn check(tree: &Tree) -> Vec<Problem> {
    let rust = tree
        .files()
        .iter()
        .filter(|(path, _)| path.ends_with(".rs") && !path.contains("/generated/"));
    rust.filter_map(|(path, text)| too_long(path, text))
        .collect()
}

fn too_long(path: &str, text: &str) -> Option<Problem> {
    let lines = production_lines(text);
    (lines > MOST_LINES).then(|| Problem {
        path: path.to_owned(),
        line: None,
        message: format!("{lines} lines, at most {MOST_LINES}: split it by what it does"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_501_lines_is_a_problem_and_500_with_tests_is_not() {
        let long = "// a line\n".repeat(501);
        let fits = format!(
            "{}#[cfg(test)]\nmod tests {{\n{}}}\n",
            "// a line\n".repeat(500),
            "    // a line\n".repeat(300)
        );
        let tree = Tree::of(&[("a.rs", &long), ("b.rs", &fits), ("c.md", &long)]);
        let problems = check(&tree);
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert_eq!(problems[0].path, "a.rs");
    }
}
