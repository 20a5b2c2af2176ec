//! How long a session may wait for what, and how each of its transactions begins.

use std::fmt::Write as _;
use std::time::Duration;

/// Settings of a connection and of its transactions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// What `pg_stat_activity` shows, such as `engine/<name>/<incarnation>`; PostgreSQL keeps 63
    /// bytes. An `application_name` in the URL takes its place.
    pub application_name: String,
    /// The longest that a statement may run. A `COMMIT` that waits for a standby is not bounded by it.
    pub statement_timeout: Duration,
    /// The longest that a statement may wait for a lock.
    pub lock_timeout: Duration,
    /// After this long without a statement within a transaction the server ends the session, so that
    /// a frozen engine's locks do not outlive it. At most half of the heartbeat interval.
    pub idle_in_transaction_timeout: Duration,
    /// How long what was sent may stay unacknowledged, on either side.
    pub tcp_user_timeout: Duration,
    /// The longest that [`connect`](super::connect()) may take, all hosts together.
    pub deadline: Duration,
}

impl Default for Session {
    fn default() -> Self {
        Self {
            application_name: "flux".to_owned(),
            statement_timeout: Duration::from_secs(10),
            lock_timeout: Duration::from_secs(2),
            idle_in_transaction_timeout: Duration::from_secs(10),
            tcp_user_timeout: Duration::from_secs(30),
            deadline: Duration::from_secs(15),
        }
    }
}

impl Session {
    /// What every transaction of ours begins with, for one simple query (`batch_execute`).
    ///
    /// Nothing is left to the session: behind a pooler the next transaction may reach another one.
    /// `synchronous_commit` is raised to `on` and never lowered, as from a role's `remote_apply`.
    /// Whether writes are allowed stays as the server says, so that an operator can forbid them. When
    /// it fails, a transaction may be open: roll it back, or give the connection up.
    pub fn transaction_prologue(&self, schema: &str) -> String {
        let mut text = String::from("BEGIN ISOLATION LEVEL READ COMMITTED;");
        // Named last, or temporary tables would come before ours.
        let quoted = schema.replace('"', "\"\"");
        let _ = write!(text, " SET LOCAL search_path = \"{quoted}\", pg_temp;");
        for (name, limit) in [
            ("lock_timeout", self.lock_timeout),
            ("statement_timeout", self.statement_timeout),
            (
                "idle_in_transaction_session_timeout",
                self.idle_in_transaction_timeout,
            ),
        ] {
            let _ = write!(text, " SET LOCAL {name} = {};", milliseconds(limit));
        }
        // A prepared statement keeps its plan. One made while a table was small would read the whole
        // table for ever after; every statement of ours has an index to go by.
        text.push_str(" SET LOCAL enable_seqscan = off;");
        // Where there is no other way the scan happens all the same, but its price is so high then that
        // the server would compile the statement first, which takes a thousand times as long.
        text.push_str(" SET LOCAL jit = off;");
        text.push_str(
            " SELECT pg_catalog.set_config('synchronous_commit', 'on', true) \
             WHERE pg_catalog.current_setting('synchronous_commit') NOT IN ('on', 'remote_apply'); ",
        );
        text
    }
}

/// As the server wants it: never 0, which would mean without limit, and never too large for it.
pub(super) fn milliseconds(limit: Duration) -> i32 {
    i32::try_from(limit.as_millis()).unwrap_or(i32::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_never_taken_for_no_limit() {
        assert_eq!(milliseconds(Duration::from_micros(1)), 1);
        assert_eq!(milliseconds(Duration::from_secs(2)), 2000);
        assert_eq!(milliseconds(Duration::MAX), i32::MAX);
    }

    #[test]
    fn the_prologue_opens_a_transaction_before_it_sets_anything() {
        let text = Session::default().transaction_prologue("flux");
        assert!(text.starts_with("BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL"));
        assert!(text.contains("SET LOCAL search_path = \"flux\", pg_temp;"));
        assert!(text.contains("SET LOCAL lock_timeout = 2000;"));
        assert!(!text.contains("SET LOCAL synchronous_commit"));
    }
}
