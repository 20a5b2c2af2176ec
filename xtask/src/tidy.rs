//! `cargo xtask tidy`: the rules of the house that neither the compiler nor clippy checks.
//!
//! Each rule is a function over a [`Tree`] that returns [`Problem`]s, so that it can be tested on
//! a tiny made-up tree. The length of functions, leftover `unwrap`s and banned calls are clippy's
//! (`clippy.toml`, `[workspace.lints]`) and not repeated here.

mod crate_docs;
mod dependencies;
mod leftovers;
mod machine_paths;
mod pages;
mod sizes;
mod source;
mod tree;

use std::fmt;
use std::path::Path;

pub use tree::Tree;

use crate::Outcome;

/// One broken rule: where and what.
#[derive(Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file, relative to the workspace's root, with `/` between folders.
    pub path: String,
    /// The line, counted from 1, where there is one to point at.
    pub line: Option<usize>,
    /// What is wrong and what would be right.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}:{line}: {}", self.path, self.message),
            None => write!(f, "{}: {}", self.path, self.message),
        }
    }
}

/// A rule: its name and the function that finds what breaks it.
pub type Rule = (&'static str, fn(&Tree) -> Vec<Problem>);

/// All rules, each with the name that reports use.
pub const RULES: &[Rule] = &[
    ("dependencies between crates", dependencies::check),
    ("file sizes", sizes::check),
    ("crate documentation", crate_docs::check),
    ("first pages", pages::check),
    ("leftovers", leftovers::check),
    ("machine paths", machine_paths::check),
];

/// Checks the whole repository at `root` and prints every problem, not only the first.
///
/// # Errors
/// A sentence with the number of problems, or why the files cannot be read.
pub fn run(root: &Path) -> Outcome {
    let tree = Tree::read(root)?;
    let mut count = 0;
    for (name, check) in RULES {
        for problem in check(&tree) {
            println!("{name}: {problem}");
            count += 1;
        }
    }
    println!("tidy: {} files, {} rules", tree.files().len(), RULES.len());
    match count {
        0 => Ok(()),
        1 => Err("tidy found 1 problem (above)".to_owned()),
        n => Err(format!("tidy found {n} problems (above)")),
    }
}
