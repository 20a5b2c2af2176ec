//! Telling the production part of a Rust file from its tests, without parsing Rust: rustfmt keeps
//! top-level items at column 0, and a trailing `mod tests` is the convention of this repository.

/// Whether the whole file is test code by its place.
pub fn is_test_file(path: &str) -> bool {
    path.split('/')
        .any(|part| part == "tests" || part == "benches")
        || path.ends_with("/tests.rs")
}

/// The number of lines before a trailing `#[cfg(test)] mod tests { .. }`; all lines if there is none.
pub fn production_lines(text: &str) -> usize {
    let lines: Vec<&str> = text.lines().collect();
    trailing_tests(&lines).unwrap_or(lines.len())
}

fn trailing_tests(lines: &[&str]) -> Option<usize> {
    let start = lines.iter().rposition(|line| *line == "#[cfg(test)]")?;
    let head = start
        + 1
        + lines[start + 1..].iter().position(|line| {
            // Other attributes may stand between, on one line or on several.
            !line.starts_with("#[") && !line.starts_with([' ', ')', ']'])
        })?;
    if !lines[head].starts_with("mod tests") {
        return None;
    }
    let end = if lines[head].ends_with('{') {
        head + lines[head..].iter().position(|line| *line == "}")?
    } else {
        head
    };
    let is_last = lines[end + 1..].iter().all(|line| line.trim().is_empty());
    is_last.then_some(start)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CODE: &str = "fn a() {}\nfn b() {}\n";

    #[test]
    fn a_trailing_test_module_is_not_counted() {
        let tests = "#[cfg(test)]\nmod tests {\n    fn t() {}\n}\n";
        assert_eq!(production_lines(&format!("{CODE}{tests}")), 2);
        let attributed =
            "#[cfg(test)]\n#[expect(\n    a,\n    reason = \"b\"\n)]\nmod tests {\n}\n";
        assert_eq!(production_lines(&format!("{CODE}{attributed}")), 2);
        assert_eq!(
            production_lines(&format!("{CODE}#[cfg(test)]\nmod tests;\n")),
            2
        );
    }

    #[test]
    fn a_test_module_in_the_middle_and_other_test_items_are_counted() {
        let middle = format!("#[cfg(test)]\nmod tests {{\n}}\n{CODE}");
        assert_eq!(production_lines(&middle), 5);
        let helper = format!("{CODE}#[cfg(test)]\nfn helper() {{}}\n");
        assert_eq!(production_lines(&helper), 4);
    }

    #[test]
    fn test_files_are_known_by_their_place() {
        assert!(is_test_file("crates/flux/tests/cli.rs"));
        assert!(is_test_file("crates/flux-core/src/walker/tests.rs"));
        assert!(!is_test_file("crates/flux-testkit/src/lib.rs"));
        assert!(!is_test_file("crates/flux-core/src/tests_of_time.rs"));
    }
}
