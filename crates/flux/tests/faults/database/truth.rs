//! What must hold in every history, whatever the fault was.

use flux_testkit::postgres::Endpoint;
use flux_testkit::{Mark, Witness, wait_until};
use std::collections::BTreeMap;

use crate::PATIENCE;

/// Anything that answers questions in SQL.
pub trait Answers {
    fn rows(&self, sql: &str) -> Vec<String>;
    fn try_rows(&self, sql: &str) -> Result<Vec<String>, String>;
}

impl Answers for flux_testkit::postgres::Database {
    #[track_caller]
    fn rows(&self, sql: &str) -> Vec<String> {
        self.psql(sql)
    }

    fn try_rows(&self, sql: &str) -> Result<Vec<String>, String> {
        self.try_psql(sql)
    }
}

impl Answers for Endpoint {
    #[track_caller]
    fn rows(&self, sql: &str) -> Vec<String> {
        self.psql(sql)
    }

    fn try_rows(&self, sql: &str) -> Result<Vec<String>, String> {
        self.try_psql(sql)
    }
}

/// Branches whose commit points have a gap, a repetition or a wrong beginning.
const GAPS: &str = "select branch_id, min(commit_no), max(commit_no), count(*) from flux.history \
     group by branch_id having min(commit_no) <> 1 or max(commit_no) <> count(*)";
/// Commits by an owner that had been replaced.
const STALE: &str = "select branch_id, commit_no from (select branch_id, commit_no, epoch, \
     lag(epoch) over (partition by branch_id order by commit_no) as before from flux.history) \
     as h where epoch < before";
const UNFINISHED: &str = "select count(*) from flux.run where state = 0";
const LEFT: &str = "select id, state, owner from flux.branch";
/// Engines that others declared dead; one that stepped down says so itself.
const CONVICTED: &str =
    "select name, evidence from flux.failover where convicted_by <> incarnation order by seq";
const STEPPED_DOWN: &str = "select count(*) from flux.failover where convicted_by = incarnation";
const EPOCHS: &str = "select coalesce(max(epoch), 0) from flux.history";

/// A history that was judged.
pub struct Truth {
    /// Engines that others declared dead.
    pub convicted: Vec<String>,
    /// How often an engine declared itself dead.
    pub stepped_down: u32,
    /// The highest epoch of any commit: 1 when no branch changed hands.
    pub highest_epoch: u32,
    /// What the actions left.
    pub traces: Vec<Mark>,
}

impl Truth {
    #[track_caller]
    pub fn when_all_have_ended(store: &impl Answers, witness: &Witness) -> Truth {
        let mut last = String::new();
        let start = std::time::Instant::now();
        while start.elapsed() < PATIENCE * 2 {
            last = format!("{:?}", store.try_rows(UNFINISHED));
            if last == "Ok([\"0\"])" {
                return Truth::judge(store, witness);
            }
            let look = std::time::Instant::now();
            wait_until("it is time to look again", PATIENCE, || {
                look.elapsed().as_millis() > 100
            });
        }
        panic!(
            "runs have not ended: {last}; branches: {:?}; members: {:?}; failovers: {:?}",
            store.try_rows(LEFT),
            store.try_rows("select incarnation, name, state, heartbeat_seq from flux.member"),
            store.try_rows("select incarnation, name, convicted_by, evidence from flux.failover"),
        );
    }

    #[track_caller]
    fn judge(store: &impl Answers, witness: &Witness) -> Truth {
        let none: [String; 0] = [];
        assert_eq!(store.rows(GAPS), none, "commit points without gap");
        assert_eq!(store.rows(STALE), none, "no commit of a replaced owner");
        assert_eq!(store.rows(LEFT), none, "no branch is left behind");
        let number = |sql: &str| store.rows(sql).concat().parse().unwrap();
        let traces = witness.traces();
        keys_name_one_step(&traces);
        Truth {
            convicted: store.rows(CONVICTED),
            stepped_down: number(STEPPED_DOWN),
            highest_epoch: number(EPOCHS),
            traces,
        }
    }

    /// Each attempt of an action had a higher fencing token than the one before it.
    #[track_caller]
    pub fn attempts_rise(self) -> Truth {
        let mut last: BTreeMap<&str, u64> = BTreeMap::new();
        for trace in &self.traces {
            let before = last.insert(&trace.key, trace.epoch).unwrap_or(0);
            assert!(before < trace.epoch, "{trace:?} after {before}");
        }
        self
    }

    #[track_caller]
    pub fn nobody_was_convicted(self) -> Truth {
        assert_eq!(self.convicted, [] as [String; 0], "no false failover");
        self
    }

    /// The fault was not noticed: no branch changed hands, no action ran twice.
    #[track_caller]
    pub fn nothing_ran_again(self) -> Truth {
        assert_eq!(self.stepped_down, 0, "no engine stepped down");
        assert_eq!(self.highest_epoch, 1, "every branch kept its owner");
        let keys: BTreeMap<_, _> = self.traces.iter().map(|t| (&t.key, ())).collect();
        assert_eq!(keys.len(), self.traces.len(), "{:?}", self.traces);
        self
    }
}

/// Two steps never share an idempotency key.
#[track_caller]
fn keys_name_one_step(traces: &[Mark]) {
    let mut nodes: BTreeMap<&str, &str> = BTreeMap::new();
    for trace in traces {
        let node = nodes.entry(&trace.key).or_insert(&trace.node);
        assert_eq!(*node, trace.node, "{trace:?}");
    }
}
