//! Who owns which branch, at which commit point: S1, S2, S7, S8, S9, S10, S12.

use super::Witness;
use flux_core::ids::{BranchId, CommitNo, Epoch, Incarnation, RunId};
use flux_core::ports::branches::{Claimed, Claims, Commit, Committed, Fence, Release, Then};
use flux_core::ports::members::Takeover;
use flux_core::ports::runs::{NewRun, Outcome};
use std::collections::BTreeMap;

/// What the witness knows of a branch.
pub struct Account {
    pub run: RunId,
    pub root: bool,
    owner: Option<Incarnation>,
    epoch: Epoch,
    commit_no: CommitNo,
    /// As of the commit point.
    memory: String,
    /// The last commit, in full.
    last: Option<String>,
    /// Who got which epoch.
    pub owners: BTreeMap<Epoch, Incarnation>,
    pub ended: bool,
    /// Owners lost since the commit point.
    pub lost: u32,
}

impl Witness {
    pub fn submitted(&mut self, run: &NewRun) {
        if self.runs.insert(run.id, false).is_none() {
            self.begin(run.id, run.branch, &run.memory, true);
        }
    }

    fn begin(&mut self, run: RunId, branch: BranchId, memory: &str, root: bool) {
        self.names.name_branch(run, branch);
        let account = Account {
            run,
            root,
            owner: None,
            epoch: Epoch(0),
            commit_no: CommitNo(0),
            memory: memory.to_owned(),
            last: None,
            owners: BTreeMap::new(),
            ended: false,
            lost: 0,
        };
        let before = self.branches.insert(branch, account);
        self.must(before.is_none(), "S2", |names| {
            format!("{} was made twice", names.branch(branch))
        });
    }

    pub fn claimed(&mut self, who: Incarnation, claims: &Claims) {
        if !claims.branches.is_empty() {
            self.must_live(who, "claims");
        }
        for claimed in &claims.branches {
            self.count("claims");
            self.claimed_one(who, claimed);
        }
    }

    fn claimed_one(&mut self, who: Incarnation, claimed: &Claimed) {
        let (branch, fence) = (claimed.branch, claimed.fence);
        let Some(account) = self.branches.get_mut(&branch) else {
            return self.violated("S3", format!("{branch} came from nowhere"));
        };
        let (owner, epoch) = (account.owner, account.epoch);
        let free = owner.is_none();
        let later = fence.epoch > epoch && fence.owner == who;
        let same = account.commit_no == fence.commit_no && account.memory == claimed.memory;
        let over = account.ended || self.runs.get(&claimed.run) != Some(&false);
        account.owner = Some(who);
        account.epoch = fence.epoch;
        account.owners.insert(fence.epoch, who);
        let name = |names: &super::Names| names.branch(branch);
        self.must(!over, "S10", |n| {
            format!("{} has ended, and is claimed", name(n))
        });
        self.must(free, "S1", |n| {
            let owner = owner.map(|owner| n.incarnation(owner)).unwrap_or_default();
            format!("{} was taken from {owner}, which had not lost it", name(n))
        });
        self.must(later, "S1", |n| {
            format!("{}: epoch {epoch} then {}", name(n), fence.epoch)
        });
        self.must(same, "S7", |n| {
            format!(
                "{} does not go on from commit point {}",
                name(n),
                fence.commit_no
            )
        });
    }

    pub fn committed(&mut self, commit: &Commit, answer: &Committed) {
        let Committed::Yes { commit_no, .. } = answer else {
            self.count("fenced commits");
            return;
        };
        let text = format!("{commit:?}");
        let Some(account) = self.branches.get(&commit.branch) else {
            return self.violated("S3", format!("{} is not known", commit.branch));
        };
        let next = commit.fence.commit_no.next();
        if account.last.as_ref() == Some(&text) && account.commit_no == next {
            // The same again, because the first answer was lost.
            self.count("repeated commits");
            return;
        }
        let owns = account.holds(commit.fence);
        let (epoch, owner, no) = (account.epoch, account.owner, account.commit_no);
        self.must(*commit_no == next, "S2", |n| {
            format!("{}: {commit_no} follows {no}", n.branch(commit.branch))
        });
        self.must(owns, "S1", |n| {
            let owner = owner.map_or("nobody".to_owned(), |owner| n.incarnation(owner));
            let who = n.incarnation(commit.fence.owner);
            format!(
                "{} of {owner} (epoch {epoch}, commit {no}) took a commit of {who} (epoch {}, commit {})",
                n.branch(commit.branch), commit.fence.epoch, commit.fence.commit_no
            )
        });
        self.count("commits");
        self.apply(commit, text);
    }

    fn apply(&mut self, commit: &Commit, text: String) {
        let over = self.runs.get(&commit.run) != Some(&false);
        self.must(!over, "S10", |n| {
            format!(
                "{} commits after its run has ended",
                n.branch(commit.branch)
            )
        });
        for signal in &commit.consumed {
            let first = self.consumed.insert(*signal);
            self.must(first, "S9", |_| {
                format!("signal {signal} was consumed twice")
            });
        }
        for run in &commit.spawned {
            self.submitted(run);
        }
        self.commits
            .insert((commit.branch, commit.fence.epoch), self.now);
        let account = self.branches.get_mut(&commit.branch).expect("it was found");
        account.commit_no = account.commit_no.next();
        account.last = Some(text);
        account.lost = 0;
        account.memory.clone_from(&commit.memory);
        match &commit.then {
            Then::Run => {}
            Then::Wait(wait) => {
                account.owner = None;
                let (run, branch) = (commit.run, commit.branch);
                for new in &wait.branches {
                    self.begin(run, new.id, &new.memory, false);
                }
                if let Some(child) = &wait.child {
                    self.submitted(child);
                }
                self.count(
                    match (&wait.child, wait.branches.is_empty(), wait.signals_after) {
                        (Some(_), ..) => "child runs",
                        (None, false, _) => "splits",
                        (None, true, Some(_)) => "listens",
                        (None, true, None) => "timers and retries",
                    },
                );
                debug_assert!(self.branches.contains_key(&branch));
            }
            Then::End { run, .. } => {
                account.owner = None;
                account.ended = true;
                if account.root || *run {
                    self.runs.insert(commit.run, true);
                }
            }
        }
    }

    pub fn released(&mut self, release: &Release, done: bool) {
        let Some(account) = self.branches.get_mut(&release.branch) else {
            return;
        };
        if !done {
            return;
        }
        let held = account.holds(release.fence);
        account.owner = None;
        self.count("releases");
        self.must(held, "S1", |n| {
            let who = n.incarnation(release.fence.owner);
            format!(
                "{who} gave back {}, which it did not own",
                n.branch(release.branch)
            )
        });
    }

    pub fn taken_over(&mut self, dead: Incarnation, freed: &[Takeover]) {
        if !freed.is_empty() {
            self.must_be_dead(dead);
        }
        for takeover in freed {
            self.count("takeovers");
            let Some(account) = self.branches.get_mut(&takeover.branch) else {
                continue;
            };
            let owned = account.owner == Some(dead);
            account.owner = None;
            account.epoch = account.epoch.next();
            account.lost += 1;
            let (lost, root, run) = (account.lost, account.root, account.run);
            if takeover.poisoned {
                account.ended = true;
                if root {
                    self.runs.insert(run, true);
                }
                self.count("poisoned");
            }
            self.must(owned, "S8", |n| {
                format!(
                    "{} was freed though {} did not run it",
                    n.branch(takeover.branch),
                    n.incarnation(dead)
                )
            });
            self.must(!takeover.poisoned || lost >= self.poison_limit, "L7", |n| {
                format!(
                    "{} was poisoned after {lost} lost owners",
                    n.branch(takeover.branch)
                )
            });
        }
    }

    /// The owner of a branch in an epoch.
    pub fn owner_of(&self, branch: BranchId, epoch: Epoch) -> Option<Incarnation> {
        self.branches.get(&branch)?.owners.get(&epoch).copied()
    }

    pub fn outcome_was_poison(outcome: &Outcome) -> bool {
        matches!(outcome, Outcome::Faulted { fault }
            if fault.detail.as_deref().is_some_and(|detail| detail.contains("lost its engine")))
    }
}

impl Account {
    fn holds(&self, fence: Fence) -> bool {
        !self.ended
            && self.owner == Some(fence.owner)
            && self.epoch == fence.epoch
            && self.commit_no == fence.commit_no
    }
}
