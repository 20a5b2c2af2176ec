//! Every folder under `crates/` opens with a sentence about itself.

use super::{Problem, Tree};

/// Crates without a root file, or whose root file does not begin with `//!`.
pub fn check(tree: &Tree) -> Vec<Problem> {
    tree.crates()
        .into_iter()
        .filter_map(|name| undocumented(tree, name))
        .collect()
}

fn undocumented(tree: &Tree, name: &str) -> Option<Problem> {
    let roots = ["lib.rs", "main.rs"].map(|file| format!("crates/{name}/src/{file}"));
    let Some((path, text)) = roots.iter().find_map(|p| tree.get(p).map(|text| (p, text))) else {
        return Some(Problem {
            path: format!("crates/{name}"),
            line: None,
            message: "has neither src/lib.rs nor src/main.rs".to_owned(),
        });
    };
    (!text.starts_with("//!")).then(|| Problem {
        path: path.clone(),
        line: Some(1),
        message: "must begin with `//!`: what the crate does and who calls it".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crate_without_words_or_without_a_root_is_a_problem() {
        let tree = Tree::of(&[
            ("crates/empty/Cargo.toml", ""),
            ("crates/good/src/lib.rs", "//! Does good.\n"),
            ("crates/mute/src/main.rs", "fn main() {}\n"),
        ]);
        let problems = check(&tree);
        let paths: Vec<&str> = problems.iter().map(|p| p.path.as_str()).collect();
        assert_eq!(paths, ["crates/empty", "crates/mute/src/main.rs"]);
    }
}
