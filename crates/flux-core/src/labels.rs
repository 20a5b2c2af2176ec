//! Labels: what an engine has, and what work requires of the engine that does it.
//!
//! The labels that a branch requires are its *pool*, as text such as `gpu=a100,zone=eu`. A pool without
//! `=` is private: only engines that were started for it work on it (`flux run` works that way).

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

/// Names with values, sorted.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Labels(BTreeMap<String, String>);

/// Longest name or value.
const LONGEST: usize = 63;

impl Labels {
    /// Adds one, in the place of another value of that name.
    ///
    /// # Errors
    /// What is wrong with the name or the value.
    pub fn insert(&mut self, name: &str, value: &str) -> Result<(), String> {
        for part in [name, value] {
            let legal = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
            if part.is_empty() || part.len() > LONGEST || !part.chars().all(legal) {
                return Err(format!(
                    "`{part}` cannot be part of a label: 1 to {LONGEST} letters, digits, `-`, `_`, `.` \
                     and `/`"
                ));
            }
        }
        self.0.insert(name.to_owned(), value.to_owned());
        Ok(())
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All of them, with those of `inner` where both have one.
    #[must_use]
    pub fn and(mut self, inner: &Labels) -> Labels {
        let inner = inner.0.iter();
        self.0
            .extend(inner.map(|(name, value)| (name.clone(), value.clone())));
        self
    }

    /// Whether an engine with these has all that is required.
    #[must_use]
    pub fn satisfy(&self, required: &Labels) -> bool {
        let mut required = required.0.iter();
        required.all(|(name, value)| self.0.get(name) == Some(value))
    }

    /// The pool of what requires them; `None`, the common one, for none.
    #[must_use]
    pub fn pool(&self) -> Option<String> {
        (!self.is_empty()).then(|| self.to_string())
    }
}

impl fmt::Display for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (name, value)) in self.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            write!(f, "{comma}{name}={value}")?;
        }
        Ok(())
    }
}

impl FromStr for Labels {
    type Err = String;

    fn from_str(text: &str) -> Result<Labels, String> {
        let mut labels = Labels::default();
        for part in text
            .split(',')
            .map(str::trim)
            .filter(|part| !part.is_empty())
        {
            let (name, value) = part.split_once('=').ok_or_else(|| {
                format!("`{part}` is no label; write NAME=VALUE, such as gpu=a100")
            })?;
            labels.insert(name.trim(), value.trim())?;
        }
        Ok(labels)
    }
}

/// Whether only the engines that were started for this pool work on it.
#[must_use]
pub fn is_private(pool: Option<&str>) -> bool {
    pool.is_some_and(|pool| !pool.contains('='))
}

/// Whether an engine with this pool works on the branches of another one: a private pool is its own
/// alone; labels serve what requires some of them, and what requires none.
#[must_use]
pub fn serves(engine: Option<&str>, branch: Option<&str>) -> bool {
    if is_private(engine) || is_private(branch) {
        return engine == branch;
    }
    let labels = |pool: Option<&str>| pool.unwrap_or_default().parse::<Labels>();
    match (labels(engine), labels(branch)) {
        (Ok(own), Ok(required)) => own.satisfy(&required),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn labels_are_written_sorted() {
        let labels: Labels = " zone=eu, gpu=a100 ,".parse().unwrap();
        assert_eq!(labels.to_string(), "gpu=a100,zone=eu");
        assert_eq!(labels.pool().as_deref(), Some("gpu=a100,zone=eu"));
        assert_eq!("".parse::<Labels>().unwrap().pool(), None);
        for wrong in ["gpu", "=a", "a=", "a=b=c", "a b=c", "ä=1"] {
            assert!(wrong.parse::<Labels>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_inner_requirement_comes_first() {
        let outer: Labels = "gpu=any,zone=eu".parse().unwrap();
        let inner: Labels = "gpu=a100".parse().unwrap();
        assert_eq!(outer.and(&inner).to_string(), "gpu=a100,zone=eu");
    }

    #[test]
    fn an_engine_serves_what_its_labels_satisfy() {
        let both = Some("gpu=a100,zone=eu");
        for (engine, branch, expected) in [
            (None, None, true),
            (both, None, true),
            (both, Some("gpu=a100"), true),
            (both, both, true),
            (both, Some("gpu=h100"), false),
            (both, Some("disk=big"), false),
            (None, Some("gpu=a100"), false),
            (Some("run-1"), Some("run-1"), true),
            (Some("run-1"), None, false),
            (None, Some("run-1"), false),
            (both, Some("!paused"), false),
        ] {
            assert_eq!(serves(engine, branch), expected, "{engine:?} {branch:?}");
        }
    }
}
