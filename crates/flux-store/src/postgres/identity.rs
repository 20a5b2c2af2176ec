//! Which database system this is, and how often a standby of it has become the primary.
//!
//! After a failover the old primary may still run, and would take writes that nobody will ever see
//! again. Both numbers can be read without privileges, and the timeline rises at once when a standby
//! is promoted; so an engine remembers the highest that it saw and refuses whatever is behind it.

/// A database system and its timeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Identity {
    /// `system_identifier`: the same on a primary and its standbys, another one after `initdb`.
    pub system: u64,
    /// Raised by every promotion. A standby in recovery tells that of its last restart point, which
    /// may be behind: judge only the primary by it.
    pub timeline: u32,
}

/// What a connection leads to, compared with what was seen before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// Where we were.
    Same,
    /// A standby has become the primary: the last commits may be lost, so observations of other
    /// engines start anew and everything owned is validated again.
    Newer,
    /// A primary that has been replaced: refuse it.
    Stale,
    /// Another database system, for example one restored by dump and load: refuse it, unless the
    /// operator accepts it.
    Other,
}

impl Identity {
    /// Compares what a new connection leads to with the highest that anybody has seen.
    pub fn judge(self, highest_seen: Self) -> Judgement {
        if self.system != highest_seen.system {
            return Judgement::Other;
        }
        match self.timeline.cmp(&highest_seen.timeline) {
            std::cmp::Ordering::Equal => Judgement::Same,
            std::cmp::Ordering::Greater => Judgement::Newer,
            std::cmp::Ordering::Less => Judgement::Stale,
        }
    }

    /// From the two columns `system` and `timeline` of [`COLUMNS`].
    pub(crate) fn from_text(system: &str, timeline: &str) -> Option<Self> {
        Some(Self {
            // The server shows the 64 bits with a sign.
            system: system.parse::<i64>().ok()?.cast_unsigned(),
            timeline: timeline.parse().ok()?,
        })
    }
}

impl std::fmt::Display for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "system {}, timeline {}", self.system, self.timeline)
    }
}

/// Two columns of a query that any role may make. A primary is asked for the name of the file that it
/// writes to, which begins with the timeline in hexadecimal; in recovery there is none, and the last
/// restart point must do.
pub(crate) const COLUMNS: &str = "\
    (SELECT system_identifier FROM pg_catalog.pg_control_system()) AS system, \
    CASE WHEN pg_catalog.pg_is_in_recovery() \
        THEN (SELECT timeline_id FROM pg_catalog.pg_control_checkpoint())::bigint \
        ELSE ('x' || pg_catalog.lpad(pg_catalog.left(pg_catalog.pg_walfile_name(\
            pg_catalog.pg_current_wal_lsn()), 8), 16, '0'))::bit(64)::bigint \
    END AS timeline";

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(system: u64, timeline: u32) -> Identity {
        Identity { system, timeline }
    }

    #[test]
    fn only_the_same_system_on_the_same_or_a_later_timeline_is_taken() {
        let seen = identity(7, 3);
        assert_eq!(identity(7, 3).judge(seen), Judgement::Same);
        assert_eq!(identity(7, 4).judge(seen), Judgement::Newer);
        assert_eq!(identity(7, 2).judge(seen), Judgement::Stale);
        assert_eq!(identity(8, 3).judge(seen), Judgement::Other);
        assert_eq!(identity(8, 9).judge(seen), Judgement::Other);
    }

    #[test]
    fn a_system_identifier_above_the_largest_signed_number_keeps_its_bits() {
        assert_eq!(
            Identity::from_text("-1", "4294967295"),
            Some(identity(u64::MAX, u32::MAX))
        );
        assert_eq!(Identity::from_text("1", "-1"), None);
        assert_eq!(Identity::from_text("", "1"), None);
    }
}
