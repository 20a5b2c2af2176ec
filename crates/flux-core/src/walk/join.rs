//! Splits and joins: branches of a fork, and child runs.

use super::memory::{Cursor, Local, Memory};
use super::vars::holds;
use super::{Go, Step, Walk};
use crate::chart::{Chart, Fault, FaultKind, Fork, Join, Node};
use crate::ids::BranchId;
use crate::ports::branches::{Arrival, JoinWake, NewBranch, Wait};
use crate::ports::runs::{NewRun, Outcome};
use crate::value::{self, Value};

/// What a join rule says about the arrivals so far.
enum Verdict {
    Over,
    Impossible(Fault),
    Wait(JoinWake),
}

impl Walk {
    pub(super) fn split(&mut self, chart: &Chart, fork: &Fork, input: Value) -> Result<Go, Fault> {
        if fork.branches.is_empty() {
            return self.leave_with(value::array(Vec::new()));
        }
        let serial = self.serial();
        let inherited = self.locals();
        let branches = fork.branches.iter().enumerate().map(|(index, node)| {
            let context = self.memory.context.clone();
            let memory = Memory::entering(*node, input.clone(), context, inherited.clone());
            NewBranch {
                id: BranchId::new(self.derived(&format!("branch/{serial}/{index}"))),
                memory: memory.to_json(),
                node: chart.node(*node).reference.clone(),
            }
        });
        let branches: Vec<_> = branches.collect();
        self.set_local(Local::Fork {
            branches: branches.len() as u32,
        });
        self.memory.at = Cursor::Inside;
        let join = Some(first_wake(&fork.join, branches.len() as u32));
        let due_at = self.deadline();
        Ok(Go::Stop(self.park(Wait {
            due_at,
            join,
            branches,
            ..Wait::default()
        })))
    }

    /// Some branches arrived.
    pub(super) fn joined(
        &mut self,
        node: &Node,
        fork: &Fork,
        mut arrivals: Vec<Arrival>,
    ) -> Result<Go, Fault> {
        arrivals.sort_by_key(|arrival| arrival.index);
        match self.judge(node, fork, &arrivals)? {
            Verdict::Impossible(fault) => Err(fault),
            Verdict::Wait(join) => {
                let due_at = self.deadline();
                let wait = Wait {
                    due_at,
                    join: Some(join),
                    ..Wait::default()
                };
                Ok(Go::Stop(Step::Release(wait)))
            }
            Verdict::Over => self.merge(fork, &arrivals),
        }
    }

    fn judge(&self, node: &Node, fork: &Fork, arrivals: &[Arrival]) -> Result<Verdict, Fault> {
        let total = fork.branches.len() as u32;
        let ok = arrivals
            .iter()
            .filter(|arrival| output_of(arrival).is_some())
            .count() as u32;
        let failed = arrivals.len() as u32 - ok;
        let first_fault = || {
            arrivals.iter().find_map(fault_of).unwrap_or_else(|| {
                Fault::new(FaultKind::Runtime, "no branch met the join's condition")
            })
        };
        match &fork.join {
            Join::When(condition) => {
                let arrived = self.arrived(fork, arrivals)?;
                let scope = self.scope(node, &arrived, None);
                if holds(condition, &arrived, &scope)? {
                    Ok(Verdict::Over)
                } else if ok + failed == total {
                    Ok(Verdict::Impossible(first_fault()))
                } else {
                    Ok(Verdict::Wait(JoinWake {
                        ok: ok + 1,
                        fault: failed + 1,
                    }))
                }
            }
            Join::All | Join::Count(_) => {
                let wake = first_wake(&fork.join, total);
                if ok >= wake.ok {
                    Ok(Verdict::Over)
                } else if failed >= wake.fault {
                    Ok(Verdict::Impossible(first_fault()))
                } else {
                    Ok(Verdict::Wait(wake))
                }
            }
        }
    }

    /// `{arrived: [{name, index, output, fault}]}`
    fn arrived(&self, fork: &Fork, arrivals: &[Arrival]) -> Result<Value, Fault> {
        let mut entries = Vec::new();
        for arrival in arrivals {
            let node = fork.branches.get(arrival.index as usize);
            let name = node.map_or("", |node| self.chart.node(*node).name.as_str());
            let fault = fault_of(arrival).map_or(Value::Null, |f| super::vars::fault_value(&f));
            entries.push(value::object([
                ("name", value::text(name)),
                ("index", value::integer(arrival.index as usize)),
                ("output", read(output_of(arrival))?),
                ("fault", fault),
            ]));
        }
        Ok(value::object([("arrived", value::array(entries))]))
    }

    /// Outputs in declaration order, `null` where a branch was not waited for; the contexts are
    /// merged in declaration order, as changes to the context of the split.
    fn merge(&mut self, fork: &Fork, arrivals: &[Arrival]) -> Result<Go, Fault> {
        let mut outputs = vec![Value::Null; fork.branches.len()];
        let base = self.memory.context.clone();
        let mut context = base.clone();
        for arrival in arrivals {
            let Some(output) = output_of(arrival) else {
                continue;
            };
            if let Some(branch_context) = &arrival.context {
                context = value::carry_over(&base, &read(Some(branch_context))?, context);
            }
            let output = read(Some(output))?;
            if fork.compete {
                outputs = vec![output];
                break;
            }
            if let Some(slot) = outputs.get_mut(arrival.index as usize) {
                *slot = output;
            }
        }
        self.memory.context = context;
        self.pending.join_over = Some(fork.rest);
        self.unsaved = true;
        let output = match outputs.pop() {
            Some(winner) if fork.compete => winner,
            last => value::array(outputs.into_iter().chain(last).collect()),
        };
        self.memory.at = Cursor::Leave { output };
        if arrivals.len() < fork.branches.len() {
            return Ok(Go::Stop(self.save()));
        }
        Ok(Go::On)
    }

    /// The engine prepared the child run.
    pub(super) fn prepared(&mut self, run: NewRun, wait: bool) -> Result<Go, Fault> {
        if wait {
            self.set_local(Local::Child);
            self.memory.at = Cursor::Inside;
            let join = Some(JoinWake { ok: 1, fault: 1 });
            let due_at = self.deadline();
            let wait = Wait {
                due_at,
                join,
                child: Some(run),
                ..Wait::default()
            };
            return Ok(Go::Stop(self.park(wait)));
        }
        let id = value::text(&run.id.to_string());
        self.pending.spawned.push(run);
        self.unsaved = true;
        self.done(value::object([("run", id)]))
    }

    /// The child run ended.
    pub(super) fn child_ended(&mut self, arrivals: &[Arrival]) -> Result<Go, Fault> {
        let Some(arrival) = arrivals.first() else {
            let join = Some(JoinWake { ok: 1, fault: 1 });
            let due_at = self.deadline();
            return Ok(Go::Stop(Step::Release(Wait {
                due_at,
                join,
                ..Wait::default()
            })));
        };
        self.pending.join_over = Some(crate::chart::Rest::Cancel);
        self.unsaved = true;
        match &arrival.outcome {
            Outcome::Completed { output } => {
                let output = read(Some(output))?;
                self.set_local(Local::None);
                self.done(output)
            }
            Outcome::Faulted { fault } => {
                self.set_local(Local::None);
                Err(Fault {
                    instance: None,
                    ..fault.clone()
                })
            }
            Outcome::Cancelled => {
                self.set_local(Local::None);
                Err(Fault::new(
                    FaultKind::Runtime,
                    "the sub-workflow was cancelled",
                ))
            }
        }
    }
}

fn first_wake(join: &Join, total: u32) -> JoinWake {
    match join {
        Join::All => JoinWake {
            ok: total,
            fault: 1,
        },
        Join::Count(count) => JoinWake {
            ok: *count,
            fault: total.saturating_sub(*count) + 1,
        },
        Join::When(_) => JoinWake { ok: 1, fault: 1 },
    }
}

fn output_of(arrival: &Arrival) -> Option<&String> {
    match &arrival.outcome {
        Outcome::Completed { output } => Some(output),
        Outcome::Faulted { .. } | Outcome::Cancelled => None,
    }
}

fn fault_of(arrival: &Arrival) -> Option<Fault> {
    match &arrival.outcome {
        Outcome::Completed { .. } => None,
        Outcome::Faulted { fault } => Some(fault.clone()),
        Outcome::Cancelled => Some(Fault::new(FaultKind::Runtime, "the branch was cancelled")),
    }
}

fn read(json: Option<&String>) -> Result<Value, Fault> {
    match json {
        Some(json) => value::parse(json).map_err(|error| {
            Fault::new(
                FaultKind::Runtime,
                format!("a stored value is damaged: {error}"),
            )
        }),
        None => Ok(Value::Null),
    }
}
