//! Marks that actions leave, written by the actions themselves: what really happened outside,
//! whatever the engine believes.

use crate::history::Nanos;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A file to which actions append one line each: `sign key epoch time node`.
#[derive(Debug)]
pub struct Witness {
    path: PathBuf,
    _directory: TempDir,
}

/// What a mark says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sign {
    /// The action begins.
    Begin,
    /// It is still at work.
    Alive,
    /// It is about to end by itself.
    End,
}

/// One line of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// What it says.
    pub sign: Sign,
    /// Idempotency key.
    pub key: String,
    /// Fencing token.
    pub epoch: u64,
    /// By the boot clock, in hundredths of a second.
    pub at: Nanos,
    /// Node of the workflow.
    pub node: String,
}

impl Sign {
    fn name(self) -> &'static str {
        match self {
            Sign::Begin => "begin",
            Sign::Alive => "alive",
            Sign::End => "end",
        }
    }

    fn parse(text: &str) -> Option<Sign> {
        [Sign::Begin, Sign::Alive, Sign::End]
            .into_iter()
            .find(|sign| sign.name() == text)
    }
}

impl Mark {
    /// Whether an action begins with it.
    pub fn begins(&self) -> bool {
        self.sign == Sign::Begin
    }

    /// The branch, with which every key begins.
    pub fn branch(&self) -> &str {
        self.key.split('/').next().unwrap_or_default()
    }

    /// Which firing of its branch it is, the second part of the key.
    pub fn firing(&self) -> u64 {
        let firing = self.key.split('/').nth(1);
        firing.and_then(|n| n.parse().ok()).unwrap_or_default()
    }
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

    /// A shell command that says that the action begins.
    pub fn command(&self) -> String {
        self.mark(Sign::Begin)
    }

    /// The same before these commands, and after them that they have ended.
    pub fn around(&self, commands: &str) -> String {
        let (begin, end) = (self.mark(Sign::Begin), self.mark(Sign::End));
        format!("{begin}; {commands}; {end}")
    }

    /// Work without end that shows all the time that it is alive.
    pub fn for_ever(&self) -> String {
        format!("while :; do {}; sleep 0.05; done", self.mark(Sign::Alive))
    }

    /// Work that shows so many times, a tenth of a second apart, that it is alive.
    pub fn at_work(&self, times: usize) -> String {
        let alive = self.mark(Sign::Alive);
        format!("n=0; while [ $n -lt {times} ]; do {alive}; sleep 0.1; n=$((n + 1)); done")
    }

    /// A shell command that appends the line. One small `O_APPEND` write is atomic, so lines of
    /// parallel actions do not mix. The first number of `/proc/uptime` is the boot clock.
    fn mark(&self, sign: Sign) -> String {
        format!(
            r#"read up rest < /proc/uptime; printf '%s %s %s %s %s\n' {} "$FLUX_IDEMPOTENCY_KEY" "$FLUX_FENCING_TOKEN" "$up" "$FLUX_NODE" >> '{}'"#,
            sign.name(),
            self.path.display()
        )
    }

    /// All marks in the order of the file; empty when there is no file yet. A last line that is
    /// not complete (its writer was killed) is left out.
    pub fn marks(&self) -> Vec<Mark> {
        let text = std::fs::read_to_string(&self.path).unwrap_or_default();
        text.split_inclusive('\n')
            .filter(|line| line.ends_with('\n'))
            .map(|line| {
                parse(line.trim_end_matches('\n'))
                    .unwrap_or_else(|| panic!("`{line}` is no mark: sign key epoch time node"))
            })
            .collect()
    }

    /// The marks with which actions began: one for each attempt.
    pub fn traces(&self) -> Vec<Mark> {
        let mut marks = self.marks();
        marks.retain(Mark::begins);
        marks
    }

    /// Keys of more than one attempt, with their number.
    pub fn duplicates(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for trace in self.traces() {
            *counts.entry(trace.key).or_insert(0) += 1;
        }
        counts.retain(|_, count| *count > 1);
        counts
    }

    /// Attempts whose fencing token is lower than one seen before in the file: actions of an owner
    /// that had been replaced.
    pub fn stale(&self) -> Vec<Mark> {
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

    /// Nodes in the order of their first attempt.
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

/// Names of tasks may contain blanks, so the key ends where its node does, which comes last.
fn parse(line: &str) -> Option<Mark> {
    let (sign, rest) = line.split_once(' ')?;
    // key epoch time node: the node is the end of the key, behind the firing.
    let start = rest.find('/')? + 1;
    let start = start + rest[start..].find('/')?;
    let length = (rest.len() - start) / 2;
    let (mut middle, node) = (0..=length).rev().find_map(|length| {
        let node = rest.get(start..start + length)?;
        let (middle, end) = rest.split_at_checked(rest.len() - length)?;
        (end == node).then_some((middle.get(start + length..)?.split_whitespace(), node))
    })?;
    let (epoch, time) = (middle.next()?.parse().ok()?, middle.next()?);
    if middle.next().is_some() {
        return None;
    }
    let (whole, part) = time.split_once('.')?;
    let hundredths: u64 = format!("{whole}{part}").parse().ok()?;
    Some(Mark {
        sign: Sign::parse(sign)?,
        key: rest.get(..start + node.len())?.to_owned(),
        epoch,
        at: hundredths * 10_000_000,
        node: node.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_counted_and_ordered() {
        let witness = Witness::new();
        assert_eq!(witness.traces(), []);
        let lines = "begin b1/0/do/0/first step 1 10.01 /do/0/first step\n\
                     alive b1/0/do/0/first step 1 10.02 /do/0/first step\n\
                     begin b2/12/do/1/second 2 11.00 /do/1/second\n\
                     begin b1/0/do/0/first step 1 12.50 /do/0/first step\nbegin c 2";
        std::fs::write(witness.path(), lines).expect("the file can be written");
        assert_eq!(witness.marks().len(), 4, "the torn line is left out");
        assert_eq!(witness.order(), ["/do/0/first step", "/do/1/second"]);
        let twice = ("b1/0/do/0/first step".to_owned(), 2);
        assert_eq!(
            witness.duplicates().into_iter().collect::<Vec<_>>(),
            [twice]
        );
        assert_eq!(witness.stale().len(), 1);
        let mark = &witness.traces()[1];
        assert_eq!(
            (mark.branch(), mark.firing(), mark.at),
            ("b2", 12, 11_000_000_000)
        );
    }

    #[test]
    fn the_commands_leave_marks_of_the_boot_clock() {
        let witness = Witness::new();
        let before = crate::history::now();
        let status = std::process::Command::new("/bin/sh")
            .args(["-c", &witness.around("true")])
            .env("FLUX_IDEMPOTENCY_KEY", "branch/3/do/0/a")
            .env("FLUX_FENCING_TOKEN", "7")
            .env("FLUX_NODE", "/do/0/a")
            .status();
        assert!(status.is_ok_and(|status| status.success()));
        let [begin, end] = &witness.marks()[..] else {
            panic!("there are two marks")
        };
        assert_eq!((begin.sign, end.sign), (Sign::Begin, Sign::End));
        assert_eq!((begin.epoch, begin.node.as_str()), (7, "/do/0/a"));
        let grain = 10_000_000;
        assert!(begin.at + grain >= before && end.at <= crate::history::now());
    }
}
