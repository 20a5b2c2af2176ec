//! What a fault may and may not have changed, beside what must hold in every history.

use super::World;
use crate::PATIENCE;
use flux_testkit::history::{Record, Rules};
use flux_testkit::{Mark, wait_until};
use std::collections::BTreeSet;

/// A history that was judged.
pub struct Truth {
    /// Names of engines that others declared dead.
    pub convicted: Vec<String>,
    /// What the actions left.
    pub traces: Vec<Mark>,
    record: Record,
}

impl World {
    /// Waits until no run is left that has not ended, and then judges the history.
    #[track_caller]
    pub fn ends_well(&self) -> Truth {
        self.ends_well_by(&Rules::default())
    }

    /// The same by other rules.
    #[track_caller]
    pub fn ends_well_by(&self, rules: &Rules) -> Truth {
        wait_until("all runs have ended", PATIENCE * 2, || self.none_is_open());
        let evidence = self.cluster.evidence(Some(&self.witness));
        let report = evidence.check(rules);
        eprintln!("{report}");
        report.assert();
        let failovers = evidence.record.failovers.iter();
        let by_others = failovers.filter(|failover| failover.by != failover.incarnation);
        Truth {
            convicted: by_others.map(|failover| failover.engine.clone()).collect(),
            traces: self.witness.traces(),
            record: evidence.record,
        }
    }

    /// Whether a client is told that no run is left that goes on.
    fn none_is_open(&self) -> bool {
        let mut args = vec!["list", "-o", "json"];
        for state in ["pending", "running", "waiting", "suspended"] {
            args.extend(["--state", state]);
        }
        let mut client = self.cluster.client(&args);
        let told = client.wait(PATIENCE).success();
        let list = serde_json::from_str(&client.stdout().join("\n"));
        let list: serde_json::Value = list.unwrap_or_default();
        told && list["runs"].as_array().is_some_and(Vec::is_empty)
    }
}

impl Truth {
    #[track_caller]
    pub fn nobody_was_convicted(self) -> Truth {
        assert_eq!(self.convicted, [] as [String; 0], "no false failover");
        self
    }

    /// The fault was not noticed: no branch changed hands, no action ran twice.
    #[track_caller]
    pub fn nothing_ran_again(self) -> Truth {
        assert!(self.record.failovers.is_empty(), "no engine stepped down");
        let mut commits = self.record.runs.iter().flat_map(|run| &run.commits);
        assert!(
            commits.all(|commit| commit.epoch == 1),
            "every branch kept its owner"
        );
        let keys: BTreeSet<_> = self.traces.iter().map(|trace| &trace.key).collect();
        assert_eq!(keys.len(), self.traces.len(), "{:?}", self.traces);
        self
    }
}
