//! What `cargo xtask interfaces` lets pass and what it does not, on a copy of the interfaces.
#![expect(clippy::print_stderr, reason = "a skipped test says so")]

use std::fs;
use std::path::{Path, PathBuf};
use xtask::{interfaces, workspace_root};

/// A copy of the interfaces in a fresh folder.
fn copy(name: &str) -> PathBuf {
    let to = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _absent = fs::remove_dir_all(&to);
    for folder in ["", "flux/v1", "flux/peer/v1"] {
        fs::create_dir_all(to.join(folder)).expect("the folder is writable");
        let from = workspace_root().join("proto").join(folder);
        for entry in from.read_dir().expect("the folder is there") {
            let file = entry.expect("it can be read").path();
            if file.is_file() {
                let name = file.file_name().expect("a file has a name");
                fs::copy(&file, to.join(folder).join(name)).expect("it can be copied");
            }
        }
    }
    to
}

/// Judges the interfaces without the lines that contain `text`; `None` without `buf`.
fn without(text: &str, file: &str, folder: &str) -> Option<xtask::Outcome> {
    let Some(buf) = interfaces::buf() else {
        eprintln!("skipped: `buf` is missing (hint: {})", interfaces::BUF.hint);
        return None;
    };
    let folder = copy(folder);
    let file = folder.join(file);
    let all = fs::read_to_string(&file).expect("the file is there");
    let left: Vec<&str> = all.lines().filter(|line| !line.contains(text)).collect();
    assert!(
        left.len() < all.lines().count(),
        "`{text}` is in {}",
        file.display()
    );
    fs::write(&file, left.join("\n")).expect("the file is writable");
    Some(interfaces::check(&buf, &folder))
}

#[test]
fn a_field_less_breaks_clients() {
    let field = "bool already_submitted = 2;";
    if let Some(outcome) = without(field, "flux/v1/service.proto", "a-field-less") {
        let sentence = outcome.expect_err("clients may use it");
        assert!(sentence.contains("FLUX_ACCEPT_INTERFACE=1"), "{sentence}");
    }
}

#[test]
fn a_field_less_among_engines_breaks_nobody() {
    let field = "uint32 claimed_since = 4;";
    if let Some(outcome) = without(field, "flux/peer/v1/peer.proto", "a-peer-field-less") {
        assert_eq!(outcome, Ok(()));
    }
}
