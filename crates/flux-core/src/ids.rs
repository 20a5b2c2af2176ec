//! The names of things: identifiers that cannot be mistaken for one another.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

macro_rules! uuid_newtype {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
        )]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// Gives `uuid` its meaning.
            #[must_use]
            pub const fn new(uuid: Uuid) -> Self {
                Self(uuid)
            }

            /// The bare identifier, for storage and wire formats.
            #[must_use]
            pub const fn uuid(self) -> Uuid {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Uuid::parse_str(text).map(Self)
            }
        }
    };
}

macro_rules! counter_newtype {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(
            Clone,
            Copy,
            Debug,
            Default,
            PartialEq,
            Eq,
            PartialOrd,
            Ord,
            Hash,
            Serialize,
            Deserialize,
        )]
        #[serde(transparent)]
        pub struct $name(pub u64);

        impl $name {
            /// The number after this one.
            ///
            /// It stays at the highest number instead of starting over: a counter that wraps
            /// would make an old owner look like the present one.
            #[must_use]
            pub const fn next(self) -> Self {
                Self(self.0.saturating_add(1))
            }

            /// The bare number.
            #[must_use]
            pub const fn get(self) -> u64 {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

uuid_newtype! {
    /// One run of a workflow.
    RunId
}
uuid_newtype! {
    /// One branch of a run: the unit of claiming and of failover.
    BranchId
}
uuid_newtype! {
    /// One start of an engine. A restarted engine is a new incarnation, whatever its name.
    Incarnation
}
uuid_newtype! {
    /// One signal sent to a run.
    SignalId
}
counter_newtype! {
    /// How many times a branch has changed its owner: the fencing token of its actions.
    Epoch
}
counter_newtype! {
    /// The number of a branch's commit point; 0 is the point it was created at.
    CommitNo
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[test]
    fn an_identifier_reads_back_what_it_displays() {
        let id = RunId::new(Uuid::from_u128(0x1234_5678_9abc_def0));
        assert_eq!(id.to_string().parse::<RunId>().unwrap(), id);
        assert!("not-a-uuid".parse::<RunId>().is_err());
    }

    #[test]
    fn identifiers_and_counters_are_bare_values_in_json() {
        let id = BranchId::new(Uuid::from_u128(7));
        let json = serde_json::to_string(&(id, Epoch(3))).unwrap();
        assert_eq!(json, r#"["00000000-0000-0000-0000-000000000007",3]"#);
        let back: (BranchId, Epoch) = serde_json::from_str(&json).unwrap();
        assert_eq!(back, (id, Epoch(3)));
    }

    #[test]
    fn a_counter_never_starts_over() {
        assert_eq!(Epoch(1).next(), Epoch(2));
        assert_eq!(CommitNo(u64::MAX).next(), CommitNo(u64::MAX));
    }
}
