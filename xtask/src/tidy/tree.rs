//! The text files of the repository, read once.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

/// Path (relative, with `/`) and content of every text file that belongs to the repository.
pub struct Tree {
    files: BTreeMap<String, String>,
}

impl Tree {
    /// Reads the files under `root` that git tracks or would track; where git does not answer
    /// (an unpacked archive, another owner), every file outside build and hidden git folders.
    ///
    /// # Errors
    /// A sentence, when a folder cannot be listed or a file cannot be read.
    pub fn read(root: &Path) -> Result<Self, String> {
        let paths = match listed_by_git(root) {
            Some(paths) => paths,
            None => {
                let mut paths = Vec::new();
                walk(root, "", &mut paths)?;
                paths
            }
        };
        let mut files = BTreeMap::new();
        for path in paths {
            let full = root.join(&path);
            // Deleted but not yet committed, or a link to a folder: nothing to read.
            if !full.is_file() {
                continue;
            }
            let bytes = std::fs::read(&full).map_err(|e| format!("cannot read {path}: {e}"))?;
            if let Ok(text) = String::from_utf8(bytes) {
                files.insert(path, text);
            }
        }
        Ok(Self { files })
    }

    /// All files: path and content, in the order of their paths.
    pub fn files(&self) -> &BTreeMap<String, String> {
        &self.files
    }

    /// The content of one file.
    pub fn get(&self, path: &str) -> Option<&str> {
        self.files.get(path).map(String::as_str)
    }

    /// The names of the folders directly under `crates/`.
    pub fn crates(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self
            .files
            .keys()
            .filter_map(|path| path.strip_prefix("crates/")?.split_once('/'))
            .map(|(name, _)| name)
            .collect();
        names.dedup();
        names
    }
}

#[cfg(test)]
impl Tree {
    /// A made-up tree for the tests of a rule.
    pub fn of(files: &[(&str, &str)]) -> Self {
        let files = files.iter().map(|(p, t)| ((*p).into(), (*t).into()));
        Self {
            files: files.collect(),
        }
    }
}

fn listed_by_git(root: &Path) -> Option<Vec<String>> {
    let output = Command::new("git")
        .args([
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
        ])
        .current_dir(root)
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let paths: Vec<String> = text.split_terminator('\0').map(str::to_owned).collect();
    (output.status.success() && !paths.is_empty()).then_some(paths)
}

fn walk(root: &Path, folder: &str, paths: &mut Vec<String>) -> Result<(), String> {
    let failed = |e| format!("cannot list {}: {e}", root.join(folder).display());
    for entry in root.join(folder).read_dir().map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name == "target" || name == ".git" {
            continue;
        }
        let path = match folder {
            "" => name,
            _ => format!("{folder}/{name}"),
        };
        if entry.file_type().map_err(failed)?.is_dir() {
            walk(root, &path, paths)?;
        } else {
            paths.push(path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn git_and_walking_both_find_this_file() {
        let root = crate::workspace_root();
        let mut walked = Vec::new();
        walk(&root, "", &mut walked).expect("the workspace can be listed");
        assert!(walked.iter().any(|p| p == "xtask/src/tidy/tree.rs"));
        assert!(!walked.iter().any(|p| p.starts_with("target/")));
        let tree = Tree::read(&root).expect("the workspace can be read");
        assert!(tree.get("xtask/src/tidy/tree.rs").is_some());
        assert!(tree.crates().contains(&"flux-core"));
    }
}
