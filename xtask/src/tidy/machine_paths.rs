//! Nothing in the repository knows on whose machine it was written.

use super::{Problem, Tree};

/// Written in halves so that this file does not find itself.
const HOMES: [&str; 2] = [concat!("/wo", "rk/"), concat!("/ro", "ot/")];

/// Absolute paths of a developer's machine, in any text file.
pub fn check(tree: &Tree) -> Vec<Problem> {
    tree.files()
        .iter()
        .flat_map(|(path, text)| in_file(path, text))
        .collect()
}

fn in_file(path: &str, text: &str) -> Vec<Problem> {
    let problem = |(index, line): (usize, &str)| {
        let home = HOMES.iter().find(|home| begins_a_path(line, home))?;
        Some(Problem {
            path: path.to_owned(),
            line: Some(index + 1),
            message: format!("`{home}..` is a path of one machine: make it relative"),
        })
    };
    text.lines().enumerate().filter_map(problem).collect()
}

/// Whether `home` stands in `line` as the beginning of a path, not as folders within a longer one
/// (of a web address, for example).
fn begins_a_path(line: &str, home: &str) -> bool {
    line.match_indices(home).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        !before.is_some_and(|c| c.is_alphanumeric() || "._-~}/".contains(c))
            || line[..at].ends_with("//")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_of_one_machine_is_a_problem_and_a_web_address_is_not() {
        let [work, root] = HOMES;
        let tree = Tree::of(&[
            ("a.md", &format!("see\n`{work}flux/notes`\n")),
            ("b.toml", &format!("path = \"{root}x\"\n")),
            ("c.rs", &format!("// file://{root}x\n")),
            (
                "d.md",
                &format!("https://example.org{work}flux and ..{work}flux\n"),
            ),
        ]);
        let problems = check(&tree);
        let found: Vec<_> = problems.iter().map(|p| (p.path.as_str(), p.line)).collect();
        assert_eq!(
            found,
            [("a.md", Some(2)), ("b.toml", Some(1)), ("c.rs", Some(1))]
        );
    }
}
