//! What stands between the engines of a test and their database: it keeps the branches of a fork
//! apart, and lets an engine die at a commit of its choice.

use async_trait::async_trait;
use flux_core::clock::{BootTime, Clock, Timestamp};
use flux_core::host::{Host, Task};
use flux_core::ids::{BranchId, Incarnation};
use flux_core::ports::Error;
use flux_core::ports::branches::{
    Branches, ClaimRequest, Claims, Commit, Committed, Fence, Outlook, Release, Then,
};
use flux_failover::SystemHost;
use std::collections::{BTreeMap, BTreeSet};
use std::future::pending;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use uuid::Uuid;

/// An engine of the test, by its number.
pub type Number = usize;

/// The branches of a fork, each with the engine that claimed it first.
pub type Fork = BTreeMap<BranchId, Option<Number>>;

/// The end of an engine: that which makes the n-th commit of all, counted from 1, or the one that ends
/// the run if there are not so many.
#[derive(Clone, Copy, Debug)]
pub struct Death {
    pub at_commit: usize,
    pub moment: Moment,
}

#[derive(Clone, Copy, Debug)]
pub enum Moment {
    /// The database never hears of the commit.
    BeforeItLands,
    /// The database has it, and the engine does not hear that.
    BeforeItsAnswer,
}

/// Shared by the engines of one test, each of which runs one branch at a time.
pub struct Usher {
    state: watch::Sender<State>,
}

struct State {
    living: BTreeSet<Number>,
    /// Those that may not commit yet.
    held: BTreeSet<Number>,
    forks: Vec<Fork>,
    commits: usize,
    death: Option<Death>,
}

impl State {
    /// Whether as many engines are at work on the fork of this branch as can be. If all engines are
    /// held, none can come.
    fn has_company(&self, branch: BranchId) -> bool {
        let fork = self.forks.iter().find(|fork| fork.contains_key(&branch));
        let complete = fork.is_none_or(|fork| {
            let claimed = fork.values().flatten().count();
            claimed >= fork.len().min(self.living.len())
        });
        complete || self.held.is_superset(&self.living)
    }
}

impl Usher {
    pub fn new(engines: usize, death: Option<Death>) -> Arc<Usher> {
        let state = State {
            living: (0..engines).collect(),
            held: BTreeSet::new(),
            forks: Vec::new(),
            commits: 0,
            death,
        };
        Arc::new(Usher {
            state: watch::channel(state).0,
        })
    }

    /// The way of an engine to its store.
    pub fn door(self: &Arc<Usher>, engine: Number, store: Arc<dyn Branches>) -> Arc<Door> {
        let usher = Arc::clone(self);
        Arc::new(Door {
            engine,
            usher,
            store,
        })
    }

    /// The host of an engine, whose tasks are dropped when it dies.
    pub fn host(self: &Arc<Usher>, engine: Number) -> Arc<Mortal> {
        let usher = Arc::clone(self);
        Arc::new(Mortal { engine, usher })
    }

    /// The engine that has died.
    pub fn dead(&self, engines: usize) -> Option<Number> {
        (0..engines).find(|engine| !self.state.borrow().living.contains(engine))
    }

    /// All forks so far.
    pub fn forks(&self) -> Vec<Fork> {
        self.state.borrow().forks.clone()
    }

    async fn until(&self, holds: impl Fn(&State) -> bool) {
        let mut states = self.state.subscribe();
        states.wait_for(holds).await.expect("the usher is there");
    }

    async fn has_company(&self, engine: Number, branch: BranchId) {
        self.state.send_modify(|state| {
            state.held.insert(engine);
        });
        self.until(|state| state.has_company(branch)).await;
        self.state.send_modify(|state| {
            state.held.remove(&engine);
        });
    }

    /// Whether the engine that commits now dies of it.
    fn judge(&self, commit: &Commit) -> Option<Moment> {
        let mut moment = None;
        self.state.send_modify(|state| {
            state.commits += 1;
            let of_a_fork = state.forks.iter().any(|f| f.contains_key(&commit.branch));
            let is_last = matches!(commit.then, Then::End { .. }) && !of_a_fork;
            let death = &mut state.death;
            let death = death.take_if(|death| is_last || death.at_commit == state.commits);
            moment = death.map(|death| death.moment);
        });
        moment
    }

    /// Never returns: whoever asks is dead.
    async fn kill(&self, engine: Number) -> ! {
        self.state.send_modify(|state| {
            state.living.remove(&engine);
        });
        pending().await
    }
}

/// The store as one engine reaches it.
pub struct Door {
    engine: Number,
    usher: Arc<Usher>,
    store: Arc<dyn Branches>,
}

#[async_trait]
impl Branches for Door {
    async fn outlook(&self, pool: Option<String>, now: Timestamp) -> Result<Outlook, Error> {
        self.store.outlook(pool, now).await
    }

    async fn claim(&self, request: ClaimRequest) -> Result<Claims, Error> {
        let claims = self.store.claim(request).await?;
        self.usher.state.send_modify(|state| {
            for claimed in &claims.branches {
                let owners = state.forks.iter_mut();
                let mut owners = owners.filter_map(|fork| fork.get_mut(&claimed.branch));
                if let Some(owner) = owners.next() {
                    owner.get_or_insert(self.engine);
                }
            }
        });
        Ok(claims)
    }

    async fn commit(&self, commit: Commit) -> Result<Committed, Error> {
        self.usher.has_company(self.engine, commit.branch).await;
        let moment = self.usher.judge(&commit);
        if let Some(Moment::BeforeItLands) = moment {
            self.usher.kill(self.engine).await;
        }
        if let Then::Wait(wait) = &commit.then
            && !wait.branches.is_empty()
        {
            // Before it is there, so that no claim is missed; a commit that is tried again is known.
            let fork: Fork = wait.branches.iter().map(|new| (new.id, None)).collect();
            self.usher.state.send_modify(|state| {
                let known = |other: &Fork| other.keys().eq(fork.keys());
                if !state.forks.iter().any(known) {
                    state.forks.push(fork);
                }
            });
        }
        let committed = self.store.commit(commit).await;
        if moment.is_some() {
            self.usher.kill(self.engine).await;
        }
        committed
    }

    async fn release(&self, release: Release) -> Result<bool, Error> {
        self.store.release(release).await
    }

    async fn owned(&self, owner: Incarnation) -> Result<Vec<(BranchId, Fence)>, Error> {
        self.store.owned(owner).await
    }
}

/// This machine, and a process on it that may die: its tasks are dropped where they stand.
pub struct Mortal {
    engine: Number,
    usher: Arc<Usher>,
}

impl Mortal {
    fn mortal(&self, task: Task) -> Task {
        let (engine, usher) = (self.engine, Arc::clone(&self.usher));
        Box::pin(async move {
            tokio::select! {
                biased;
                () = usher.until(|state| !state.living.contains(&engine)) => {}
                () = task => {}
            }
        })
    }
}

impl Clock for Mortal {
    fn now(&self) -> Timestamp {
        SystemHost.now()
    }

    fn boot(&self) -> BootTime {
        SystemHost.boot()
    }
}

impl Host for Mortal {
    fn sleep(&self, by: Duration) -> Task {
        SystemHost.sleep(by)
    }

    fn spawn(&self, task: Task) {
        SystemHost.spawn(self.mortal(task));
    }

    fn spawn_apart(&self, name: &'static str, task: Task) -> io::Result<()> {
        SystemHost.spawn_apart(name, self.mortal(task))
    }

    fn fresh_id(&self) -> Uuid {
        SystemHost.fresh_id()
    }
}
