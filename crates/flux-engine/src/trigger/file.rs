//! `call: file:1@default`: one look for a file that matches.

use flux_core::chart::{Fault, FaultKind};
use flux_core::clock::Timestamp;
use flux_core::value::{self, Value};
use serde_json::json;
use std::fs::Metadata;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

/// What a look saw.
#[derive(Clone, Debug, PartialEq)]
pub enum Look {
    /// A file that is complete as far as one can tell: `{path, size, modified}`, with bytes and
    /// RFC 3339.
    Found(Value),
    /// None yet; with the first match that still changes. Handing it to the next look is needed
    /// only for files whose modification time lies in the future.
    NotYet(Option<Seen>),
}

/// A match that was not stable yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The file.
    pub path: PathBuf,
    /// Its size in bytes.
    pub size: u64,
    /// When it was modified last.
    pub modified: Timestamp,
    /// When it was first seen with this size and modification time.
    pub since: Timestamp,
}

/// Looks once for the first file, by name, that matches `pattern` and was not modified for
/// `stable` (0: at once). `*` and `?` match within one component of the path, and no leading dot;
/// directories are no match. A relative pattern starts at the engine's working directory.
///
/// A directory that does not exist (yet) is no error; one that may not be read is.
pub async fn look(
    pattern: &str,
    stable: Duration,
    seen: Option<Seen>,
    now: Timestamp,
) -> Result<Look, Fault> {
    if pattern.is_empty() || pattern.contains('\0') {
        return Err(Fault::new(
            FaultKind::Validation,
            format!("file: `path` is {pattern:?}; write for example `path: /data/in/*.csv`"),
        ));
    }
    let pattern = PathBuf::from(pattern);
    // A file system may take its time, and must not hold up the other branches meanwhile.
    tokio::task::spawn_blocking(move || search(&pattern, stable, seen, now))
        .await
        .map_err(|error| {
            Fault::new(
                FaultKind::Runtime,
                format!("file: the look failed: {error}"),
            )
        })?
}

fn search(
    pattern: &Path,
    stable: Duration,
    seen: Option<Seen>,
    now: Timestamp,
) -> Result<Look, Fault> {
    let mut unstable = None;
    for path in expand(pattern)? {
        let Some(found) = inspect(&path, now)? else {
            continue;
        };
        let since = match &seen {
            Some(seen) if seen.same(&found) => seen.since,
            _ => now,
        };
        let age = now.since(found.modified).max(now.since(since));
        if age >= stable {
            return Ok(Look::Found(found.output()));
        }
        unstable.get_or_insert(Seen { since, ..found });
    }
    Ok(Look::NotYet(unstable))
}

impl Seen {
    fn same(&self, other: &Seen) -> bool {
        (&self.path, self.size, self.modified) == (&other.path, other.size, other.modified)
    }

    fn output(&self) -> Value {
        value::from_serde(json!({
            "path": self.path.to_string_lossy(),
            "size": self.size,
            "modified": self.modified.to_string(),
        }))
    }
}

/// The file, unless it is none or has just gone.
fn inspect(path: &Path, now: Timestamp) -> Result<Option<Seen>, Fault> {
    let metadata = match std::fs::metadata(path) {
        Ok(metadata) if metadata.is_file() => metadata,
        Ok(_) => return Ok(None),
        Err(error) if absent(&error) => return Ok(None),
        Err(error) => return Err(unreadable(path, &error)),
    };
    let modified = modified(&metadata).unwrap_or(now);
    Ok(Some(Seen {
        path: path.to_owned(),
        size: metadata.len(),
        modified,
        since: now,
    }))
}

fn modified(metadata: &Metadata) -> Option<Timestamp> {
    let age = metadata.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
    i64::try_from(age.as_micros())
        .ok()
        .map(Timestamp::from_micros)
}

/// The existing paths that the pattern stands for, sorted.
fn expand(pattern: &Path) -> Result<Vec<PathBuf>, Fault> {
    let mut paths = vec![PathBuf::new()];
    for component in pattern.components() {
        let name = component.as_os_str().to_string_lossy();
        if !matches!(component, Component::Normal(_)) || !name.contains(['*', '?']) {
            paths.iter_mut().for_each(|path| path.push(component));
            continue;
        }
        let mut next = Vec::new();
        for directory in &paths {
            next.extend(children(directory, &name)?);
        }
        next.sort();
        paths = next;
    }
    Ok(paths)
}

fn children(directory: &Path, pattern: &str) -> Result<Vec<PathBuf>, Fault> {
    let place = if directory.as_os_str().is_empty() {
        Path::new(".")
    } else {
        directory
    };
    let entries = match std::fs::read_dir(place) {
        Ok(entries) => entries,
        Err(error) if absent(&error) => return Ok(Vec::new()),
        Err(error) => return Err(unreadable(place, &error)),
    };
    let pattern: Vec<char> = pattern.chars().collect();
    let mut found = Vec::new();
    for entry in entries {
        let name = entry
            .map_err(|error| unreadable(place, &error))?
            .file_name();
        let letters: Vec<char> = name.to_string_lossy().chars().collect();
        let hidden = letters.first() == Some(&'.') && pattern.first() != Some(&'.');
        if !hidden && matches(&pattern, &letters) {
            found.push(directory.join(&name));
        }
    }
    Ok(found)
}

/// Linear in practice: after a mismatch only the last `*` takes one letter more.
fn matches(pattern: &[char], name: &[char]) -> bool {
    let (mut p, mut n, mut star) = (0, 0, None);
    while n < name.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(letter) if *letter == '?' || *letter == name[n] => {
                p += 1;
                n += 1;
            }
            _ => {
                let Some((at, taken)) = star else {
                    return false;
                };
                star = Some((at, taken + 1));
                p = at + 1;
                n = taken + 1;
            }
        }
    }
    pattern[p..].iter().all(|letter| *letter == '*')
}

fn absent(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

fn unreadable(path: &Path, error: &io::Error) -> Fault {
    let kind = match error.kind() {
        io::ErrorKind::PermissionDenied => FaultKind::Authorization,
        _ => FaultKind::Runtime,
    };
    let detail = format!(
        "file: {} cannot be looked at: {error}; the engine's user needs to read the directory",
        path.display()
    );
    Fault::new(kind, detail)
}

#[cfg(test)]
mod tests {
    #![expect(
        clippy::disallowed_methods,
        reason = "these tests date files by the real clock"
    )]
    use super::*;
    use std::fs::{self, File};
    use std::time::SystemTime;

    const MINUTE: Duration = Duration::from_secs(60);

    fn now() -> Timestamp {
        let age = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .expect("after 1970");
        Timestamp::default().plus(age)
    }

    fn found(look: Result<Look, Fault>) -> serde_json::Value {
        match look {
            Ok(Look::Found(value)) => value::to_serde(&value),
            other => panic!("{other:?} instead of a file"),
        }
    }

    #[test]
    fn patterns_match_within_a_name() {
        let matched = |pattern: &str, name: &str| {
            let letters = |text: &str| text.chars().collect::<Vec<_>>();
            matches(&letters(pattern), &letters(name))
        };
        for (pattern, name) in [
            ("*", ""),
            ("*.csv", "a.csv"),
            ("a*b*c", "aXbYbc"),
            ("?\u{e9}", "x\u{e9}"),
            ("**", "a"),
        ] {
            assert!(matched(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [
            ("*.csv", "a.csv.tmp"),
            ("?", ""),
            ("a?", "a"),
            ("a*b", "ab c"),
        ] {
            assert!(!matched(pattern, name), "{pattern} {name}");
        }
        assert!(
            !matched(&"*a".repeat(30), &"a".repeat(29)),
            "and it does not take forever"
        );
    }

    #[tokio::test]
    async fn the_first_match_by_name_is_found_in_any_directory() {
        let folder = tempfile::tempdir().expect("a directory");
        let pattern = folder.path().join("day-?/*.csv");
        let pattern = pattern.to_string_lossy();
        assert_eq!(
            look(&pattern, Duration::ZERO, None, now()).await,
            Ok(Look::NotYet(None))
        );
        for name in [
            "day-2/a.csv",
            "day-1/b.csv",
            "day-1/.a.csv",
            "day-10/a.csv",
            "day-1/a.txt",
        ] {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
            fs::write(path, "12345").expect("a file");
        }
        fs::create_dir(folder.path().join("day-1/a.csv")).expect("a directory");
        let value = found(look(&pattern, Duration::ZERO, None, now()).await);
        assert_eq!(
            value["path"],
            folder.path().join("day-1/b.csv").to_string_lossy().as_ref()
        );
        assert_eq!(value["size"], 5);
        assert!(
            value["modified"]
                .as_str()
                .is_some_and(|time| time.ends_with('Z')),
            "{value}"
        );
        let exact = folder.path().join("day-2/a.csv");
        found(look(&exact.to_string_lossy(), Duration::ZERO, None, now()).await);
    }

    #[tokio::test]
    async fn a_file_is_found_when_it_no_longer_changes() {
        let folder = tempfile::tempdir().expect("a directory");
        let path = folder.path().join("a");
        fs::write(&path, "").expect("a file");
        let pattern = path.to_string_lossy();
        let Ok(Look::NotYet(Some(seen))) = look(&pattern, MINUTE, None, now()).await else {
            panic!("it has just been written")
        };
        assert_eq!(seen.path, path);
        found(look(&pattern, MINUTE, None, now().plus(MINUTE)).await);
    }

    #[tokio::test]
    async fn a_file_from_the_future_is_found_after_two_looks() {
        let folder = tempfile::tempdir().expect("a directory");
        let path = folder.path().join("a");
        let file = File::create(&path).expect("a file");
        file.set_modified(SystemTime::now() + 100 * MINUTE)
            .expect("a time");
        let pattern = path.to_string_lossy();
        let Ok(Look::NotYet(seen)) = look(&pattern, MINUTE, None, now()).await else {
            panic!("it is not stable")
        };
        let later = now().plus(MINUTE);
        let Ok(Look::NotYet(_)) = look(&pattern, MINUTE, None, later).await else {
            panic!("without what was seen nothing says that it is stable")
        };
        found(look(&pattern, MINUTE, seen, later).await);
    }

    #[tokio::test]
    async fn an_empty_pattern_is_refused() {
        let fault = look("", MINUTE, None, now())
            .await
            .expect_err("nothing to look for");
        assert_eq!(fault.status, 400);
    }
}
