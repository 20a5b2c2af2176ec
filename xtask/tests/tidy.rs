//! The rules of `cargo xtask tidy`, run on this repository as ordinary tests: one test per rule,
//! so that the name of what fails already tells which.

use xtask::tidy::{RULES, Tree};

fn holds(rule: &str) {
    let (_, check) = RULES
        .iter()
        .find(|(name, _)| *name == rule)
        .expect("the rule is in the table");
    let tree = Tree::read(&xtask::workspace_root()).expect("the workspace can be read");
    let problems: Vec<String> = check(&tree).iter().map(ToString::to_string).collect();
    assert!(problems.is_empty(), "{rule}:\n{}", problems.join("\n"));
}

#[test]
fn crates_depend_on_each_other_as_the_architecture_says() {
    holds("dependencies between crates");
}

#[test]
fn no_file_is_too_long() {
    holds("file sizes");
}

#[test]
fn every_crate_says_what_it_is() {
    holds("crate documentation");
}

#[test]
fn the_first_pages_exist_and_stay_short() {
    holds("first pages");
}

#[test]
fn no_reminders_are_left_in_the_source() {
    holds("leftovers");
}

#[test]
fn no_path_of_one_machine_is_in_the_repository() {
    holds("machine paths");
}

#[test]
fn every_rule_is_run_here() {
    assert_eq!(RULES.len(), 6, "a new rule needs its own test in this file");
}
