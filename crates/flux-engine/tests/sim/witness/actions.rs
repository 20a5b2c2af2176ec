//! What actions do: S5, S6, L3.

use super::Witness;
use crate::world::Instant;
use flux_core::ids::{BranchId, Epoch, Incarnation};
use flux_engine::action::Request;

/// An action that is going on.
pub struct Running {
    pub who: Incarnation,
    key: String,
    node: String,
    epoch: Epoch,
    nonce: u64,
}

/// An action that was performed to its end.
pub struct Performed {
    pub branch: BranchId,
    pub node: String,
    pub key: String,
    pub epoch: Epoch,
    /// Part of its output.
    pub nonce: u64,
    pub ended: Ended,
    pub at: Instant,
}

/// How an action ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    Well,
    Badly,
    /// Its engine is gone, told it to stop, or has lost its right to act.
    Killed,
}

impl Witness {
    pub fn began(&mut self, request: &Request, nonce: u64) {
        self.count("actions");
        let branch = request.branch;
        let Some(who) = self.owner_of(branch, request.epoch) else {
            return self.violated(
                "S1",
                format!("an action of {branch} in an epoch nobody was given"),
            );
        };
        if let Some(other) = self.running.get(&branch) {
            let other = other.who;
            self.violated(
                "S5",
                format!(
                    "{} begins an action of {} while {} performs one",
                    self.names.incarnation(who),
                    self.names.branch(branch),
                    self.names.incarnation(other)
                ),
            );
        }
        self.must_live(who, "begins an action");
        self.must_have_the_right(who, "begins");
        let (key, node) = (request.key.clone(), request.node.clone());
        let known = self.keys.get(&key).cloned();
        let (at, named, last) = known.unwrap_or((branch, node.clone(), 0));
        self.must((at, &named) == (branch, &node), "S6", |_| {
            format!("the key {key} stands for {named} and for {node}")
        });
        self.must(last <= request.epoch.get(), "S6", |_| {
            format!(
                "the fencing token of {key} went back from {last} to {}",
                request.epoch
            )
        });
        self.keys
            .insert(key.clone(), (branch, node.clone(), request.epoch.get()));
        let running = Running {
            who,
            key,
            node,
            epoch: request.epoch,
            nonce,
        };
        self.running.insert(branch, running);
    }

    pub fn ended(&mut self, branch: BranchId, nonce: u64, ended: Ended) {
        match self.running.get(&branch) {
            Some(running) if running.nonce == nonce => {}
            _ => return,
        }
        let Some(running) = self.running.remove(&branch) else {
            return;
        };
        self.must_have_the_right(running.who, "still performs");
        if ended == Ended::Killed {
            self.count("killed actions");
        }
        self.performed.push(Performed {
            branch,
            node: running.node,
            key: running.key,
            epoch: running.epoch,
            nonce,
            ended,
            at: self.now,
        });
    }

    fn must_have_the_right(&mut self, who: Incarnation, what: &str) {
        let Some(account) = self.members.get(&who) else {
            return;
        };
        let (now, until) = (self.now, account.acts_until());
        self.must(now <= until, "L3", |n| {
            let late = (now - until) as f64 / 1e9;
            format!(
                "{} {what} an action {late:.6} s after its right to act ended",
                n.incarnation(who)
            )
        });
    }
}
