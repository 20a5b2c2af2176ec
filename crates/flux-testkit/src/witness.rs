//! Traces that actions leave, written by the actions themselves: what really happened outside,
//! whatever the engine believes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A file to which actions append one line each: `key epoch node time`.
#[derive(Debug)]
pub struct Witness {
    path: PathBuf,
    _directory: TempDir,
}

/// One line of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    /// Idempotency key.
    pub key: String,
    /// Fencing token.
    pub epoch: u64,
    /// Node of the workflow.
    pub node: String,
    /// Nanoseconds since 1970.
    pub time: u128,
}

impl Witness {
    /// An empty file in a directory of its own, removed on drop.
    pub fn new() -> Witness {
        let directory = tempfile::tempdir().expect("a temporary directory");
        Witness {
            path: directory.path().join("witness"),
            _directory: directory,
        }
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A shell command that appends the line. One small `O_APPEND` write is atomic, so lines of
    /// parallel actions do not mix.
    pub fn command(&self) -> String {
        format!(
            r#"printf '%s %s %s %s\n' "$FLUX_IDEMPOTENCY_KEY" "$FLUX_FENCING_TOKEN" "$FLUX_NODE" "$(date +%s%N)" >> '{}'"#,
            self.path.display()
        )
    }

    /// All traces in the order of the file; empty when there is no file yet. A last line that is
    /// not complete (its writer was killed) is left out.
    pub fn traces(&self) -> Vec<Trace> {
        let text = std::fs::read_to_string(&self.path).unwrap_or_default();
        text.split_inclusive('\n')
            .filter(|line| line.ends_with('\n'))
            .map(parse)
            .collect()
    }

    /// Keys that left more than one trace, with their number.
    pub fn duplicates(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for trace in self.traces() {
            *counts.entry(trace.key).or_insert(0) += 1;
        }
        counts.retain(|_, count| *count > 1);
        counts
    }

    /// Traces whose fencing token is lower than one seen before in the file: actions of an owner
    /// that had been replaced.
    pub fn stale(&self) -> Vec<Trace> {
        let mut highest = 0;
        let mut stale = Vec::new();
        for trace in self.traces() {
            if trace.epoch < highest {
                stale.push(trace);
            } else {
                highest = trace.epoch;
            }
        }
        stale
    }

    /// Nodes in the order of their first trace.
    pub fn order(&self) -> Vec<String> {
        let mut nodes: Vec<String> = Vec::new();
        for trace in self.traces() {
            if !nodes.contains(&trace.node) {
                nodes.push(trace.node);
            }
        }
        nodes
    }
}

impl Default for Witness {
    fn default() -> Witness {
        Witness::new()
    }
}

/// The node is what lies between: names of tasks may contain blanks.
fn parse(line: &str) -> Trace {
    let wrong = || -> ! { panic!("`{line}` is no trace: key epoch node time") };
    let mut ends = line.trim_end().splitn(3, ' ');
    let (Some(key), Some(epoch), Some(rest)) = (ends.next(), ends.next(), ends.next()) else {
        wrong()
    };
    let Some((node, time)) = rest.rsplit_once(' ') else {
        wrong()
    };
    let (Ok(epoch), Ok(time)) = (epoch.parse(), time.parse()) else {
        wrong()
    };
    Trace {
        key: key.to_owned(),
        epoch,
        node: node.to_owned(),
        time,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn traces_are_counted_and_ordered() {
        let witness = Witness::new();
        assert_eq!(witness.traces(), []);
        let lines = "a 1 /do/0/first step 10\nb 2 /do/1/second 11\na 1 /do/0/first step 12\nc 2";
        std::fs::write(witness.path(), lines).expect("the file can be written");
        assert_eq!(witness.traces().len(), 3, "the torn line is left out");
        assert_eq!(witness.order(), ["/do/0/first step", "/do/1/second"]);
        assert_eq!(
            witness.duplicates().into_iter().collect::<Vec<_>>(),
            [("a".to_owned(), 2)]
        );
        assert_eq!(witness.stale().len(), 1);
    }

    #[test]
    fn the_command_leaves_a_trace() {
        let witness = Witness::new();
        let status = std::process::Command::new("/bin/sh")
            .args(["-c", &witness.command()])
            .env("FLUX_IDEMPOTENCY_KEY", "key")
            .env("FLUX_FENCING_TOKEN", "7")
            .env("FLUX_NODE", "/do/0/a")
            .status();
        assert!(status.is_ok_and(|status| status.success()));
        let traces = witness.traces();
        assert_eq!((traces[0].epoch, traces[0].node.as_str()), (7, "/do/0/a"));
    }
}
