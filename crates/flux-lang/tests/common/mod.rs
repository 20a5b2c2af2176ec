//! Where the conformance data is: not in this repository, so tests that need it skip without it.

use std::path::PathBuf;

/// The folder, or none with a printed notice.
pub fn conformance() -> Option<PathBuf> {
    let given = std::env::var_os("FLUX_CONFORMANCE_DIR").map(PathBuf::from);
    let beside =
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/conformance/open-workflow");
    let folder = given.unwrap_or(beside);
    if folder.join("examples").is_dir() {
        return Some(folder);
    }
    #[expect(clippy::print_stderr, reason = "a skipped test must say so")]
    {
        eprintln!(
            "skipped: no conformance data in {}; set FLUX_CONFORMANCE_DIR",
            folder.display()
        );
    }
    None
}

/// The examples of the standard: file name and text, sorted.
pub fn examples() -> Option<Vec<(String, String)>> {
    let folder = conformance()?.join("examples");
    let mut examples: Vec<_> = std::fs::read_dir(folder)
        .expect("the folder can be read")
        .map(|entry| entry.expect("the entry can be read").path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "yaml")
        })
        .map(|path| {
            let text = std::fs::read_to_string(&path).expect("the example can be read");
            let name = path.file_name().expect("a file has a name");
            (name.to_string_lossy().into_owned(), text)
        })
        .collect();
    examples.sort();
    Some(examples)
}
