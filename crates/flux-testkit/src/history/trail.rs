//! What the engines say of themselves: the events of their target `flux::evidence`.

use super::Nanos;
use flux_core::labels::is_private;
use serde_json::Value;

/// The logs that engines must write to leave a trail.
pub(crate) const LOGS: &str = "flux::evidence=debug";

/// One event of an engine.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Which process of the test said it.
    pub process: usize,
    /// The incarnation that did it.
    pub engine: String,
    /// When it was over, by the boot clock.
    pub at: Nanos,
    /// What it did.
    pub what: What,
}

/// What an engine did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// It became a member.
    Joined {
        /// Its failover time window.
        window: Nanos,
        /// Most members it would join.
        max_cluster_size: u64,
        /// Owners that a branch may lose in a row.
        poison_limit: u64,
    },
    /// It began to claim.
    Serves {
        /// Branches of the common pool it runs at a time.
        concurrency: u64,
    },
    /// A heartbeat, sent at that time, was answered.
    Heartbeat {
        /// When it was sent.
        sent: Nanos,
    },
    /// It declared another incarnation dead (or itself, after it had stepped down).
    Convicted {
        /// The dead one.
        member: String,
        /// How long it had seen it silent.
        silent: Nanos,
        /// When it asked the store for the conviction.
        judged: Nanos,
    },
    /// It took a branch from a dead incarnation.
    Freed {
        /// The dead owner.
        member: String,
        /// Which branch, at which commit point; the epoch is not told.
        branch: Held,
    },
    /// It lost its trust.
    SteppedDown,
    /// It claims nothing any more.
    Drains,
    /// It is about to leave the table of members.
    Leaves,
    /// It became the owner of a branch, for which it had asked at that time.
    Claimed {
        /// Which.
        branch: Held,
        /// When it asked.
        asked: Nanos,
        /// Owners the branch had lost since its commit point.
        lost: u64,
    },
    /// Its commit was stored; the number is that of the new commit point.
    Committed {
        /// Which.
        branch: Held,
        /// `run`, `wait` or `end`.
        then: String,
    },
    /// Its commit was refused.
    Fenced {
        /// Which.
        branch: Held,
    },
    /// It gave a branch back.
    Released {
        /// Which.
        branch: Held,
        /// `ready`, `wait` or `refused`.
        to: String,
    },
    /// An action began.
    ActionStarted {
        /// Of this branch.
        branch: Held,
        /// Its idempotency key.
        key: String,
    },
    /// An action ended, well or not.
    ActionEnded {
        /// Of this branch.
        branch: Held,
    },
}

/// A branch in somebody's hands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// Its run.
    pub run: String,
    /// The branch.
    pub branch: String,
    /// The owner's epoch; 0 where it is not told.
    pub epoch: u64,
    /// Its commit point.
    pub commit_no: u64,
}

impl Entry {
    /// A line of an engine's log; `None` when it tells something else.
    pub fn parse(process: usize, line: &str) -> Option<Entry> {
        if !line.contains("flux::evidence") {
            return None;
        }
        let line: Value = serde_json::from_str(line).ok()?;
        let fields = &line["fields"];
        Some(Entry {
            process,
            engine: text(fields, "engine.id"),
            at: number(fields, "boot_ns"),
            what: what(fields)?,
        })
    }
}

fn what(fields: &Value) -> Option<What> {
    let held = || Held {
        run: text(fields, "run.id"),
        branch: text(fields, "branch.id"),
        epoch: number(fields, "epoch"),
        commit_no: number(fields, "commit_no"),
    };
    Some(match fields["event"].as_str()? {
        "joined" => What::Joined {
            window: number(fields, "window_ns"),
            max_cluster_size: number(fields, "max_cluster_size"),
            poison_limit: number(fields, "poison_limit"),
        },
        "serves" => What::Serves {
            concurrency: match is_private(fields["pool"].as_str()) {
                true => 0,
                false => number(fields, "concurrency"),
            },
        },
        "heartbeat" => What::Heartbeat {
            sent: number(fields, "sent_ns"),
        },
        "convicted" => What::Convicted {
            member: text(fields, "member.id"),
            silent: number(fields, "silent_ns"),
            judged: number(fields, "judged_ns"),
        },
        "freed" => What::Freed {
            member: text(fields, "member.id"),
            branch: held(),
        },
        "stepped-down" => What::SteppedDown,
        "drains" => What::Drains,
        "leaves" => What::Leaves,
        "claimed" => What::Claimed {
            branch: held(),
            asked: number(fields, "asked_ns"),
            lost: number(fields, "lost"),
        },
        "committed" => What::Committed {
            branch: held(),
            then: text(fields, "then"),
        },
        "fenced" => What::Fenced { branch: held() },
        "released" => What::Released {
            branch: held(),
            to: text(fields, "then"),
        },
        "action-started" => What::ActionStarted {
            branch: held(),
            key: text(fields, "then"),
        },
        "action-ended" => What::ActionEnded { branch: held() },
        _ => return None,
    })
}

fn text(fields: &Value, name: &str) -> String {
    fields[name].as_str().unwrap_or_default().to_owned()
}

fn number(fields: &Value, name: &str) -> u64 {
    fields[name].as_u64().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_an_engine_is_read_and_other_lines_are_not() {
        let line = r#"{"timestamp":"x","level":"DEBUG","fields":{"message":"m","event":"claimed","engine.id":"e","run.id":"r","branch.id":"b","epoch":3,"commit_no":2,"lost":1,"asked_ns":5,"boot_ns":7},"target":"flux::evidence"}"#;
        let entry = Entry::parse(4, line).expect("it is an event");
        assert_eq!(
            (entry.process, entry.engine.as_str(), entry.at),
            (4, "e", 7)
        );
        let What::Claimed {
            branch,
            asked,
            lost,
        } = entry.what
        else {
            panic!("it is a claim")
        };
        assert_eq!(
            (branch.branch.as_str(), branch.epoch, branch.commit_no),
            ("b", 3, 2)
        );
        assert_eq!((asked, lost), (5, 1));
        assert!(Entry::parse(0, "flux::evidence of something else").is_none());
        assert!(Entry::parse(0, r#"{"fields":{"message":"steps down"}}"#).is_none());
    }
}
