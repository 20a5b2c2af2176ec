//! The branches that this engine runs now, and the ways to stop them.

use flux_core::ids::{BranchId, Epoch};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::watch;

/// Why a branch must be let go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StopReason {
    /// The engine is draining: give it back at its commit point.
    Drain,
    /// It is not ours any more: discard, tell nobody.
    Lost,
}

/// How far the engine may go; seen by all its branches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Everything.
    Full,
    /// No new action: the heartbeat is late.
    NoNewActions,
    /// Give branches back at their next commit.
    Draining,
    /// Stop actions and give branches back now.
    DrainNow,
    /// The trust window is over: kill everything.
    Lost,
}

/// A branch's view of what may stop it.
pub(crate) struct Stop {
    standing: watch::Receiver<Standing>,
    cancelled: watch::Receiver<bool>,
}

impl Stop {
    /// Whether the branch is to be let go at its next commit.
    pub fn wanted(&self) -> Option<StopReason> {
        match *self.standing.borrow() {
            Standing::Lost => return Some(StopReason::Lost),
            Standing::Draining | Standing::DrainNow => return Some(StopReason::Drain),
            Standing::Full | Standing::NoNewActions => {}
        }
        self.cancelled.borrow().then_some(StopReason::Lost)
    }

    /// Resolves when what the branch does must be stopped at once.
    pub async fn now(&mut self) {
        let standing = self
            .standing
            .wait_for(|standing| matches!(standing, Standing::Lost | Standing::DrainNow));
        let cancelled = self.cancelled.wait_for(|cancelled| *cancelled);
        // A closed channel means that the engine is gone, which stops the branch too.
        tokio::select! { biased; _ = standing => {}, _ = cancelled => {} }
    }

    /// Resolves when the branch is not ours any more.
    pub async fn lost(&mut self) {
        let standing = self
            .standing
            .wait_for(|standing| *standing == Standing::Lost);
        let cancelled = self.cancelled.wait_for(|cancelled| *cancelled);
        tokio::select! { biased; _ = standing => {}, _ = cancelled => {} }
    }

    /// Resolves when a new action may start; `Err` when none may any more.
    pub async fn trusted(&mut self) -> Result<(), StopReason> {
        let standing = self
            .standing
            .wait_for(|standing| *standing != Standing::NoNewActions);
        let standing = standing.await.map_or(Standing::Lost, |standing| *standing);
        if standing == Standing::Lost || *self.cancelled.borrow() {
            return Err(StopReason::Lost);
        }
        Ok(())
    }
}

/// All branches of this engine.
pub(crate) struct Running {
    standing: watch::Sender<Standing>,
    branches: Arc<Mutex<Table>>,
}

/// Removes the branch when its worker is done.
pub(crate) struct Entry {
    branch: BranchId,
    epoch: Epoch,
    branches: Arc<Mutex<Table>>,
}

impl Running {
    pub fn new() -> Running {
        let (standing, _) = watch::channel(Standing::Full);
        Running {
            standing,
            branches: Arc::default(),
        }
    }

    /// Enters a branch.
    pub fn enter(&self, branch: BranchId, epoch: Epoch) -> (Entry, Stop) {
        let (sender, cancelled) = watch::channel(false);
        let branches = Arc::clone(&self.branches);
        lock(&branches).insert(branch, (epoch, sender));
        let stop = Stop {
            standing: self.standing.subscribe(),
            cancelled,
        };
        (
            Entry {
                branch,
                epoch,
                branches,
            },
            stop,
        )
    }

    /// Says how far all branches may go.
    pub fn stand(&self, standing: Standing) {
        self.standing.send_if_modified(|current| {
            let changed = *current != standing;
            *current = standing;
            changed
        });
    }

    /// How far they may go now.
    pub fn standing(&self) -> Standing {
        *self.standing.borrow()
    }

    /// These branches were cancelled in the store.
    pub fn cancelled(&self, cancelled: &[BranchId]) {
        let branches = lock(&self.branches);
        for branch in cancelled {
            if let Some((_, sender)) = branches.get(branch) {
                sender.send_replace(true);
            }
        }
    }

    /// What runs here.
    pub fn list(&self) -> Vec<(BranchId, Epoch)> {
        lock(&self.branches)
            .iter()
            .map(|(branch, (epoch, _))| (*branch, *epoch))
            .collect()
    }

    /// How many run here.
    pub fn count(&self) -> usize {
        lock(&self.branches).len()
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let mut branches = lock(&self.branches);
        // The branch may have come back with a later epoch already.
        if branches
            .get(&self.branch)
            .is_some_and(|(epoch, _)| *epoch == self.epoch)
        {
            branches.remove(&self.branch);
        }
    }
}

/// In order, so that whoever goes through it does so the same way each time.
type Table = BTreeMap<BranchId, (Epoch, watch::Sender<bool>)>;

fn lock(table: &Mutex<Table>) -> std::sync::MutexGuard<'_, Table> {
    table.lock().unwrap_or_else(PoisonError::into_inner)
}
