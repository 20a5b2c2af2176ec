//! The store under test, and short words for what the cases do with it. Everything panics on an
//! error of the store; times are whole seconds, identifiers small numbers.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use flux_core::chart::{ChartId, Fault, FaultKind, WorkflowName};
use flux_core::clock::{ClockOffset, Timestamp};
use flux_core::ids::{BranchId, Incarnation, RunId};
use flux_core::ports::branches::{
    Branches, ClaimRequest, Claimed, Claims, Commit, Committed, Fence, JoinWake, NewBranch,
    Outlook, Then, Wait,
};
use flux_core::ports::definitions::{Definitions, NewDefinition};
use flux_core::ports::members::{Joined, Member, Members, NewMember};
use flux_core::ports::runs::{
    BranchRecord, Event, NewRun, Outcome, RunRecord, Runs, Signalled, Submitted,
};
use flux_core::ports::throttles::Throttles;
use flux_core::throttle::{Limits, Throttle};
use uuid::Uuid;

/// A store: the ports of workers, clients, catalogue and throttles in one.
pub trait Store: Branches + Runs + Definitions + Throttles {}
impl<T: Branches + Runs + Definitions + Throttles> Store for T {}

/// A fresh store under test, with nothing in it.
pub struct Ports {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) members: Arc<dyn Members>,
    _keep: Box<dyn Any + Send + Sync>,
}

impl Ports {
    /// The ports of one store. `keep` lives as long as they do: a temporary folder, for example.
    pub fn new(
        store: Arc<dyn Store>,
        members: Arc<dyn Members>,
        keep: impl Any + Send + Sync,
    ) -> Ports {
        Ports {
            store,
            members,
            _keep: Box::new(keep),
        }
    }

    /// The port of workers, clients and catalogue.
    #[must_use]
    pub fn store(&self) -> &dyn Store {
        &*self.store
    }

    /// The port of the cluster.
    #[must_use]
    pub fn members(&self) -> &dyn Members {
        &*self.members
    }

    pub(crate) async fn deploy(&self) {
        let definition = definition("wf", "1", "source");
        self.store.deploy(definition).await.expect("deploy");
    }

    /// An alive member.
    pub(crate) async fn engine(&self, number: u32) -> Incarnation {
        let joined = self.members.join(member(number), 100, at(0)).await;
        assert_eq!(joined, Ok(Joined::Yes));
        incarnation(number)
    }

    /// The members without what only the clock of the database knows.
    pub(crate) async fn timeless_members(&self) -> Vec<Member> {
        let members = self.members.members().await.expect("members");
        let timeless = members.into_iter().map(|member| Member {
            heartbeat_age: Duration::ZERO,
            clock_offset: ClockOffset::default(),
            ..member
        });
        timeless.collect()
    }

    /// Declares a member dead that has never beaten.
    pub(crate) async fn kill(&self, dead: Incarnation, by: Incarnation) {
        let convicted = self.members.convict(dead, 0, by, "silent", at(50)).await;
        assert_eq!(convicted, Ok(true));
    }

    pub(crate) async fn submit(&self, runs: Vec<NewRun>) -> Vec<Submitted> {
        self.store.submit(runs).await.expect("submit")
    }

    /// Sets the limits of a scope, such as `ns/wf`: for the cluster and for each engine.
    pub(crate) async fn throttle(&self, scope: &str, cluster: Option<u32>, engine: Option<u32>) {
        let throttle = Throttle {
            scope: scope.parse().expect("a scope"),
            limits: Limits { cluster, engine },
        };
        self.store.throttle(throttle).await.expect("throttle");
    }

    pub(crate) async fn claims(&self, owner: Incarnation, limit: u32, now: i64) -> Claims {
        self.claims_of(None, owner, limit, now).await
    }

    pub(crate) async fn claims_of(
        &self,
        pool: Option<&str>,
        owner: Incarnation,
        limit: u32,
        now: i64,
    ) -> Claims {
        let request = ClaimRequest {
            owner,
            limit,
            pool: pool.map(str::to_owned),
            now: at(now),
            alone_from: u32::MAX,
            count: 0,
        };
        self.store.claim(request).await.expect("claim")
    }

    pub(crate) async fn outlook(&self, pool: Option<&str>, now: i64) -> Outlook {
        let outlook = self.store.outlook(pool.map(str::to_owned), at(now));
        outlook.await.expect("look out")
    }

    /// The only branch that there is to claim at second 10.
    pub(crate) async fn claim_one(&self, owner: Incarnation) -> Claimed {
        let mut branches = self.claims(owner, 10, 10).await.branches;
        assert_eq!(branches.len(), 1, "{branches:?}");
        branches.remove(0)
    }

    /// All that is to claim at second 10, by branch.
    pub(crate) async fn claim_all(&self, owner: Incarnation) -> Vec<Claimed> {
        let mut branches = self.claims(owner, 100, 10).await.branches;
        branches.sort_by_key(|claimed| claimed.branch);
        branches
    }

    /// An engine that owns the first branch of run 1.
    pub(crate) async fn running(&self) -> (Incarnation, Claimed) {
        self.deploy().await;
        let owner = self.engine(1).await;
        self.submit(vec![run(1)]).await;
        (owner, self.claim_one(owner).await)
    }

    /// Run 1, whose first branch (owned by the engine) has split into two ready ones, 11 and 12.
    pub(crate) async fn split(&self, join: JoinWake) -> (Incarnation, Claimed) {
        let (owner, claimed) = self.running().await;
        let wait = Wait {
            join: Some(join),
            branches: vec![new_branch(11), new_branch(12)],
            ..Wait::default()
        };
        self.stored(commit(&claimed, Then::Wait(wait))).await;
        (owner, claimed)
    }

    pub(crate) async fn commit(&self, commit: Commit) -> Committed {
        self.store.commit(commit).await.expect("commit")
    }

    /// A commit that must not be fenced; what it says besides its number.
    pub(crate) async fn stored(&self, commit: Commit) -> (bool, Vec<BranchId>) {
        let next = commit.fence.commit_no.next();
        match self.commit(commit).await {
            Committed::Yes {
                commit_no,
                woke,
                mut cancelled,
                paused,
            } => {
                assert_eq!((commit_no, paused), (next, false));
                cancelled.sort();
                (woke, cancelled)
            }
            Committed::Fenced => panic!("fenced"),
        }
    }

    /// Commits and goes on: the branch as its owner knows it then.
    pub(crate) async fn goes_on(&self, mut claimed: Claimed) -> Claimed {
        self.stored(commit(&claimed, Then::Run)).await;
        claimed.fence.commit_no = claimed.fence.commit_no.next();
        claimed
    }

    pub(crate) async fn signal(&self, run: u32, event: Event) -> Signalled {
        let signalled = self.store.signal(run_id(run), event, at(10)).await;
        signalled.expect("signal")
    }

    pub(crate) async fn run(&self, number: u32) -> RunRecord {
        let record = self.store.run(run_id(number)).await.expect("run");
        record.expect("the run is there")
    }

    pub(crate) async fn branches(&self, run: u32) -> Vec<BranchRecord> {
        let records = self.store.branches(run_id(run)).await;
        records.expect("branches")
    }

    pub(crate) async fn branch(&self, run: u32, branch: u32) -> BranchRecord {
        let mut records = self.branches(run).await.into_iter();
        let found = records.find(|record| record.id == branch_id(branch));
        found.expect("the branch is there")
    }
}

pub(crate) fn at(second: i64) -> Timestamp {
    Timestamp::from_micros(second * 1_000_000)
}

pub(crate) fn run_id(number: u32) -> RunId {
    RunId::new(Uuid::from_u128(0xA000_0000 + u128::from(number)))
}

pub(crate) fn branch_id(number: u32) -> BranchId {
    BranchId::new(Uuid::from_u128(0xB000_0000 + u128::from(number)))
}

pub(crate) fn incarnation(number: u32) -> Incarnation {
    Incarnation::new(Uuid::from_u128(0xE000_0000 + u128::from(number)))
}

pub(crate) fn name(name: &str, version: &str) -> WorkflowName {
    WorkflowName {
        namespace: "ns".to_owned(),
        name: name.to_owned(),
        version: version.to_owned(),
    }
}

pub(crate) fn definition(called: &str, version: &str, source: &str) -> NewDefinition {
    NewDefinition {
        chart: ChartId::of(source),
        name: name(called, version),
        source: source.to_owned(),
        at: at(0),
        schedule: None,
        limits: None,
        pools: Vec::new(),
    }
}

pub(crate) fn member(number: u32) -> NewMember {
    NewMember {
        incarnation: incarnation(number),
        name: format!("engine-{number}"),
        window: Duration::from_secs(180),
        host: "host".to_owned(),
        pid: number,
        version: "0.1.0".to_owned(),
        pool: None,
        concurrency: 10,
        address: None,
    }
}

/// Run `number` of the definition that [`Ports::deploy`] stores, with the branch of that number,
/// submitted at that second.
pub(crate) fn run(number: u32) -> NewRun {
    NewRun {
        id: run_id(number),
        branch: branch_id(number),
        chart: ChartId::of("source"),
        name: name("wf", "1"),
        input: format!(r#"{{"number":{number}}}"#),
        memory: format!("memory-{number}"),
        priority: 0,
        pool: None,
        request_id: None,
        listens: Vec::new(),
        traceparent: None,
        at: at(i64::from(number)),
    }
}

/// The same in a pool.
pub(crate) fn pinned(number: u32, pool: &str) -> NewRun {
    NewRun {
        pool: Some(pool.to_owned()),
        ..run(number)
    }
}

/// A run that listens to events of type `kind`, or to all of them.
pub(crate) fn listening(number: u32, kind: Option<&str>) -> NewRun {
    NewRun {
        listens: vec![kind.map(str::to_owned)],
        ..run(number)
    }
}

pub(crate) fn new_branch(number: u32) -> NewBranch {
    NewBranch {
        id: branch_id(number),
        memory: format!("memory-{number}"),
        node: format!("/node/{number}"),
    }
}

pub(crate) fn event(id: &str, kind: &str) -> Event {
    Event {
        id: id.to_owned(),
        source: "test".to_owned(),
        kind: kind.to_owned(),
        json: format!(r#"{{"id":"{id}"}}"#),
    }
}

/// A commit at second 20 that changes nothing but what is said.
pub(crate) fn commit(claimed: &Claimed, then: Then) -> Commit {
    Commit {
        branch: claimed.branch,
        run: claimed.run,
        fence: claimed.fence,
        now: at(20),
        memory: "committed".to_owned(),
        node: "/do/1".to_owned(),
        then,
        history: r#"["done"]"#.to_owned(),
        consumed: Vec::new(),
        published: Vec::new(),
        join_over: None,
        spawned: Vec::new(),
    }
}

pub(crate) fn waits(wait: Wait) -> Then {
    Then::Wait(wait)
}

pub(crate) fn ends(outcome: Outcome) -> Then {
    Then::End {
        outcome,
        context: Some(r#"{"c":1}"#.to_owned()),
        run: false,
    }
}

pub(crate) fn ends_run(outcome: Outcome) -> Then {
    Then::End {
        outcome,
        context: None,
        run: true,
    }
}

pub(crate) fn completed() -> Outcome {
    Outcome::Completed {
        output: r#"{"ok":true}"#.to_owned(),
    }
}

pub(crate) fn faulted() -> Outcome {
    Outcome::Faulted {
        fault: Fault::new(FaultKind::Runtime, "broken").at("/do/1"),
    }
}

/// Fences that differ from `fence` in one number each.
pub(crate) fn other_fences(fence: Fence) -> [Fence; 3] {
    let owner = incarnation(99);
    let (epoch, commit_no) = (fence.epoch.next(), fence.commit_no.next());
    [
        Fence { owner, ..fence },
        Fence { epoch, ..fence },
        Fence { commit_no, ..fence },
    ]
}
