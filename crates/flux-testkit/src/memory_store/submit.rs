//! Starting runs, and the definitions and schedules that they are started from.

use flux_core::branch::BranchState;
use flux_core::clock::Timestamp;
use flux_core::ids::{BranchId, CommitNo, Epoch};
use flux_core::ports::Error;
use flux_core::ports::branches::NewBranch;
use flux_core::ports::definitions::{Firing, NewDefinition};
use flux_core::ports::runs::{NewRun, Submitted, Taker};
use flux_core::throttle::Scope;

use super::state::{Branch, Definition, Run, Schedule, State};

impl State {
    pub(super) fn submit(
        &mut self,
        runs: &[NewRun],
        taker: Option<&Taker>,
    ) -> Result<Vec<Submitted>, Error> {
        self.require_definitions(runs)?;
        let taker = taker.filter(|taker| self.may_take(taker));
        let chosen = taker.map_or_else(|| vec![false; runs.len()], |taker| taker.choose(runs));
        let answers = runs.iter().zip(chosen).map(|(run, chosen)| {
            let new = self.start(run, None);
            let taker = taker.filter(|_| new && chosen);
            if let Some(taker) = taker {
                self.own(run.branch, taker.owner);
            }
            let request = run.request_id.as_ref().filter(|_| !new);
            let first = request.and_then(|request| self.requests.get(request));
            Submitted {
                run: first.copied().unwrap_or(run.id),
                new,
                taken: taker.is_some(),
            }
        });
        Ok(answers.collect())
    }

    /// Whether it is alive, nothing is throttled, and nothing was ready before.
    fn may_take(&self, taker: &Taker) -> bool {
        let ready = self.branches_where(|branch| {
            branch.state == BranchState::Ready && branch.pool == taker.pool
        });
        self.is_alive(taker.owner) && self.throttles.is_empty() && ready.is_empty()
    }

    /// Asked before anything is written, because nothing can be taken back.
    pub(super) fn require_definitions<'a>(
        &self,
        runs: impl IntoIterator<Item = &'a NewRun>,
    ) -> Result<(), Error> {
        for run in runs {
            let mut definitions = self.definitions.iter();
            if !definitions.any(|definition| definition.chart == run.chart) {
                let text = format!("the definition of {} is not stored", run.name);
                return Err(Error::Internal(text));
            }
        }
        Ok(())
    }

    /// Starts a run whose definition is stored; false when its id or its request is there already.
    pub(super) fn start(&mut self, new: &NewRun, parent: Option<BranchId>) -> bool {
        let request = new.request_id.as_ref();
        if self.runs.contains_key(&new.id) || request.is_some_and(|r| self.requests.contains_key(r))
        {
            return false;
        }
        let number = self.make();
        let run = Run {
            new: new.clone(),
            number,
            parent,
            ended: None,
        };
        self.runs.insert(new.id, run);
        if let Some(request) = request {
            self.requests.insert(request.clone(), new.id);
        }
        let listens = new.listens.iter().map(|kind| (new.id, kind.clone()));
        self.subscriptions.extend(listens);
        let root = Branch {
            root: true,
            ..self.fresh(new, new.branch, new.at)
        };
        self.insert(Branch {
            node: "/".to_owned(),
            memory: new.memory.clone(),
            ..root
        });
        true
    }

    /// A branch of a split.
    pub(super) fn split(&mut self, from: BranchId, index: u32, new: &NewBranch, now: Timestamp) {
        let parent = self.branches[&from].clone();
        let run = self.runs[&parent.run].new.clone();
        let branch = self.fresh(&run, new.id, now);
        self.insert(Branch {
            parent: Some(from),
            index,
            node: new.node.clone(),
            memory: new.memory.clone(),
            ..branch
        });
    }

    fn fresh(&mut self, run: &NewRun, id: BranchId, at: Timestamp) -> Branch {
        Branch {
            id,
            run: run.id,
            number: self.make(),
            parent: None,
            index: 0,
            root: false,
            state: BranchState::Ready,
            owner: None,
            epoch: Epoch(0),
            commit_no: CommitNo(0),
            lost: 0,
            priority: run.priority,
            pool: run.pool.clone(),
            due_at: Some(at),
            signals_after: None,
            join: None,
            node: String::new(),
            memory: String::new(),
            created_at: at,
            updated_at: at,
            last_commit: None,
        }
    }

    fn insert(&mut self, branch: Branch) {
        let before = self.branches.insert(branch.id, branch);
        assert!(before.is_none(), "the id of a branch is used once");
    }

    pub(super) fn deploy(&mut self, new: &NewDefinition) {
        let mut known = self.definitions.iter();
        if !known.any(|definition| definition.chart == new.chart) {
            self.definitions.push(Definition {
                chart: new.chart.clone(),
                name: new.name.clone(),
                source: new.source.clone(),
                at: new.at,
            });
            if let Some(limits) = new.limits {
                let scope = Scope::workflow(&new.name.namespace, &new.name.name);
                self.throttles.insert(scope, limits);
            }
        }
        let Some(schedule) = &new.schedule else {
            return;
        };
        let key = (new.name.namespace.clone(), new.name.name.clone());
        let before = self.schedules.get(&key);
        if before.is_some_and(|before| before.chart == new.chart) {
            return;
        }
        let last_run = before.and_then(|before| before.last_run);
        let schedule = Schedule {
            chart: new.chart.clone(),
            name: new.name.clone(),
            due_at: Some(schedule.due_at),
            after: schedule.after,
            last_run,
        };
        self.schedules.insert(key, schedule);
    }

    pub(super) fn fire(&mut self, firing: &Firing) -> Result<bool, Error> {
        let key = (firing.name.namespace.clone(), firing.name.name.clone());
        let found = self.schedules.get(&key);
        if found.is_none_or(|schedule| schedule.due_at != Some(firing.due_at)) {
            return Ok(false);
        }
        self.require_definitions(&firing.runs)?;
        if let Some(schedule) = self.schedules.get_mut(&key) {
            schedule.due_at = firing.next;
            let last = firing.runs.last().map(|run| run.id);
            schedule.last_run = last.or(schedule.last_run);
        }
        for run in &firing.runs {
            self.start(run, None);
        }
        Ok(true)
    }
}
