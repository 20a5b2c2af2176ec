//! What a world hands to its store: runs, waits and commits, made from what an operation says.

use flux_core::chart::ChartId;
use flux_core::ids::Incarnation;
use flux_core::ports::branches::{Claimed, Commit, JoinWake, Then, Wait};
use flux_core::ports::runs::{Event, NewRun, Outcome};

use super::op::{Change, Next, Start, Until};
use super::world::World;
use crate::store_suite::fixture::{
    at, branch_id, completed, event, faulted, incarnation, new_branch, other_fences, run, run_id,
};

pub(super) const POOL: &str = "special";
const KINDS: [&str; 2] = ["a", "b"];
const RECENT: usize = 10;

impl World {
    pub(super) fn change(&mut self, change: &Change) -> Option<(usize, Commit)> {
        let index = self.recent(change.claim)?;
        let claimed = self.claims[index].clone();
        let spoiled = other_fences(claimed.fence);
        let consumed = claimed.signals.iter().map(|signal| signal.id);
        let commit = Commit {
            branch: claimed.branch,
            run: claimed.run,
            fence: *spoiled
                .get(usize::from(change.spoil))
                .unwrap_or(&claimed.fence),
            now: at(self.now),
            memory: format!("memory at {}", self.now),
            node: format!("/do/{}", self.now),
            then: self.then(&claimed, &change.then),
            history: format!("[{}]", self.now),
            consumed: consumed.filter(|_| change.consume).collect(),
            published: change.publish.iter().copied().map(numbered).collect(),
            join_over: change.join_over,
            spawned: self.starts(&change.spawn),
        };
        Some((index, commit))
    }

    fn then(&mut self, claimed: &Claimed, next: &Next) -> Then {
        match next {
            Next::Run => Then::Run,
            Next::Wait {
                until,
                branches,
                child,
            } => {
                let mut wait = self.wait(claimed, until);
                for _ in 0..*branches {
                    wait.branches.push(new_branch(self.id()));
                }
                wait.child = child.as_ref().map(|child| self.start(child));
                Then::Wait(wait)
            }
            Next::End { outcome, run } => Then::End {
                outcome: match outcome {
                    0 => completed(),
                    1 => faulted(),
                    _ => Outcome::Cancelled,
                },
                context: Some(self.now.to_string()),
                run: *run,
            },
        }
    }

    pub(super) fn wait(&self, claimed: &Claimed, until: &Until) -> Wait {
        let last_seen = claimed.signals.last().map_or(0, |signal| signal.seq);
        Wait {
            due_at: until.due.map(|due| at(self.now + i64::from(due))),
            signals_after: until.signals.map(|seen| if seen { last_seen } else { 0 }),
            join: until.join.map(|(ok, fault)| JoinWake {
                ok: u32::from(ok),
                fault: u32::from(fault),
            }),
            ..Wait::default()
        }
    }

    /// One of the last claims: the older ones are mostly out of date.
    pub(super) fn recent(&self, number: u8) -> Option<usize> {
        let recent = self.claims.len().min(RECENT);
        let back = usize::from(number).checked_rem(recent)?;
        Some(self.claims.len() - 1 - back)
    }

    pub(super) fn engine(&self, number: u8) -> Incarnation {
        incarnation(self.engines[usize::from(number)])
    }

    pub(super) fn id(&mut self) -> u32 {
        self.next_id += 1;
        self.next_id
    }

    pub(super) fn starts(&mut self, starts: &[Start]) -> Vec<NewRun> {
        starts.iter().map(|start| self.start(start)).collect()
    }

    fn start(&mut self, start: &Start) -> NewRun {
        let number = self.id();
        self.runs.push(run_id(number));
        let chart = if start.defined { "source" } else { "unknown" };
        NewRun {
            branch: branch_id(number),
            chart: ChartId::of(chart),
            priority: i32::from(start.priority),
            pool: start.pool.then(|| POOL.to_owned()),
            request_id: start.request.map(|request| request.to_string()),
            listens: match start.listens {
                0 => Vec::new(),
                1 => vec![None],
                kind => vec![Some(KINDS[usize::from(kind % 2)].to_owned())],
            },
            at: at(self.now),
            ..run(number)
        }
    }
}

/// The event of that number.
pub(super) fn numbered(number: u8) -> Event {
    event(&number.to_string(), KINDS[usize::from(number % 2)])
}
