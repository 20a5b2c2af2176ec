//! What is being said on one connection: which messages are a COMMIT, which its answer.

use super::message::Message;
use super::rules::{Cut, Rules};
use std::collections::HashMap;
use std::sync::Arc;

/// What happens to a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Pass,
    CutBefore,
    CutBehind,
}

#[derive(Debug)]
pub(super) struct Conversation {
    rules: Arc<Rules>,
    /// Whether the prepared statement, or the portal, with this name is a COMMIT.
    statements: HashMap<String, bool>,
    portals: HashMap<String, bool>,
    /// How often the client asked for, and the server said, `ReadyForQuery`.
    asked: usize,
    ready: usize,
    /// A COMMIT whose answer is to be cut: as long as the server is not ready so often.
    awaited: Option<usize>,
}

impl Conversation {
    pub(super) fn new(rules: Arc<Rules>) -> Conversation {
        Conversation {
            rules,
            statements: HashMap::new(),
            portals: HashMap::new(),
            // The server is ready once without being asked, after the log-in.
            asked: 1,
            ready: 0,
            awaited: None,
        }
    }

    pub(super) fn client_says(&mut self, message: &Message) -> Verdict {
        let verdict = if self.commits(message) {
            self.judge()
        } else {
            Verdict::Pass
        };
        // Query, Sync, FunctionCall.
        if matches!(message.kind(), b'Q' | b'S' | b'F') {
            self.asked += 1;
        }
        verdict
    }

    pub(super) fn server_says(&mut self, message: &Message) -> Verdict {
        let text = message.texts().next();
        let committed = message.kind() == b'C' && text.as_deref() == Some("COMMIT");
        if committed && self.awaited.take().is_some() {
            self.rules.count(|counts| counts.commits_cut += 1);
            return Verdict::CutBefore;
        }
        if message.kind() == b'Z' {
            self.ready += 1;
        }
        if self.awaited.is_some_and(|until| self.ready >= until) {
            // It failed or was a rollback: nothing was committed.
            self.awaited = None;
            self.rules.missed(Cut::BeforeAnswer);
        }
        Verdict::Pass
    }

    /// Whether the server commits when it gets this message.
    fn commits(&mut self, message: &Message) -> bool {
        let mut texts = message.texts();
        let mut text = || texts.next().unwrap_or_default();
        match message.kind() {
            b'Q' => says_commit(&text()),
            // Parse: the name of a statement and its text.
            b'P' => {
                let (name, sql) = (text(), text());
                self.statements.insert(name, says_commit(&sql));
                false
            }
            // Bind: the name of a portal and of its statement.
            b'B' => {
                let (portal, statement) = (text(), text());
                let commits = self.statements.get(&statement).copied();
                self.portals.insert(portal, commits.unwrap_or_default());
                false
            }
            b'E' => self.portals.get(&text()).copied().unwrap_or_default(),
            _ => false,
        }
    }

    fn judge(&mut self) -> Verdict {
        let verdict = match self.rules.judge_commit() {
            None => return Verdict::Pass,
            Some(Cut::BeforeAnswer) => {
                self.awaited = Some(self.asked + 1);
                return Verdict::Pass;
            }
            Some(Cut::BeforeForwarding) => Verdict::CutBefore,
            Some(Cut::AfterForwarding) => Verdict::CutBehind,
        };
        self.rules.count(|counts| counts.commits_cut += 1);
        verdict
    }
}

/// Whether one of these statements is a COMMIT. A semicolon in a literal misleads it only where a
/// COMMIT stands between two of them.
fn says_commit(sql: &str) -> bool {
    sql.split(';').any(|statement| {
        let words: Vec<String> = statement
            .split_whitespace()
            .map(str::to_ascii_lowercase)
            .collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        matches!(
            words.as_slice(),
            ["commit" | "end"] | ["commit" | "end", "work" | "transaction"]
        )
    })
}

#[cfg(test)]
mod tests {
    use super::says_commit;

    #[test]
    fn a_commit_is_known_by_all_its_names() {
        for sql in [
            "COMMIT",
            " commit ; ",
            "end transaction",
            "select 1; Commit Work",
        ] {
            assert!(says_commit(sql), "{sql}");
        }
        for sql in ["", "commit prepared 'x'", "select 'commit'", "rollback"] {
            assert!(!says_commit(sql), "{sql}");
        }
    }
}
