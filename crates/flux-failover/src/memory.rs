//! For tests: an in-memory membership with a switch that makes it unavailable, and this machine
//! with a clock that the test moves.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use flux_core::clock::{BootTime, Clock, ClockOffset, ManualClock, Timestamp};
use flux_core::host::{Host, Task};
use flux_core::ids::{BranchId, CommitNo, Incarnation, RunId};
use flux_core::ports::Error;
use flux_core::ports::members::{Joined, Member, MemberState, Members, NewMember, Takeover};
use uuid::Uuid;

use crate::SystemHost;

#[derive(Default)]
pub struct Memory {
    away: AtomicBool,
    cluster: Mutex<Cluster>,
}

#[derive(Default)]
struct Cluster {
    members: Vec<Member>,
    /// How many branches an engine owns, and how often they have lost one.
    branches: HashMap<Incarnation, Vec<u32>>,
    convictions: Vec<(Incarnation, Incarnation, String)>,
    largest_batch: u32,
}

impl Memory {
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    pub fn set_away(&self, away: bool) {
        self.away.store(away, Ordering::SeqCst);
    }

    /// Lets `who` own branches that have lost their engine `lost` times each.
    pub fn give(&self, who: Incarnation, lost: &[u32]) {
        let mut cluster = self.lock();
        cluster.branches.insert(who, lost.to_vec());
    }

    pub fn get(&self, who: Incarnation) -> Option<Member> {
        let cluster = self.lock();
        let mut members = cluster.members.iter();
        members.find(|m| m.incarnation == who).cloned()
    }

    /// Who was convicted, by whom, and why.
    pub fn convictions(&self) -> Vec<(Incarnation, Incarnation, String)> {
        self.lock().convictions.clone()
    }

    pub fn largest_batch(&self) -> u32 {
        self.lock().largest_batch
    }

    fn reach(&self) -> Result<MutexGuard<'_, Cluster>, Error> {
        if self.away.load(Ordering::SeqCst) {
            return Err(Error::Unavailable("switched off".to_owned()));
        }
        Ok(self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, Cluster> {
        self.cluster
            .lock()
            .expect("no test panics while holding it")
    }
}

impl Cluster {
    fn row(&mut self, who: Incarnation) -> Option<&mut Member> {
        self.members.iter_mut().find(|m| m.incarnation == who)
    }

    fn owns(&self, who: Incarnation) -> u64 {
        self.branches.get(&who).map_or(0, |b| b.len() as u64)
    }
}

#[async_trait]
impl Members for Memory {
    async fn join(&self, m: NewMember, limit: u32, now: Timestamp) -> Result<Joined, Error> {
        let mut cluster = self.reach()?;
        let alive = cluster
            .members
            .iter()
            .filter(|m| m.state != MemberState::Dead);
        if alive.count() >= limit as usize {
            return Ok(Joined::Full { limit });
        }
        cluster.members.push(Member {
            incarnation: m.incarnation,
            name: m.name,
            window: m.window,
            heartbeat_seq: 0,
            state: MemberState::Alive,
            heartbeat_at: now,
            heartbeat_age: Duration::ZERO,
            clock_offset: ClockOffset::default(),
            started_at: now,
            host: m.host,
            pid: m.pid,
            version: m.version,
            pool: m.pool,
            concurrency: m.concurrency,
            address: m.address,
            running: 0,
            heard: None,
        });
        Ok(Joined::Yes)
    }

    async fn heartbeat(&self, me: Incarnation, now: Timestamp) -> Result<bool, Error> {
        let mut cluster = self.reach()?;
        let row = cluster.row(me).filter(|row| row.state != MemberState::Dead);
        Ok(row.is_some_and(|row| {
            row.heartbeat_seq += 1;
            row.heartbeat_at = now;
            true
        }))
    }

    async fn members(&self) -> Result<Vec<Member>, Error> {
        let cluster = self.reach()?;
        let rows = cluster.members.iter().cloned().map(|mut row| {
            row.running = cluster.owns(row.incarnation);
            row
        });
        Ok(rows
            .filter(|row| row.state != MemberState::Dead || row.running > 0)
            .collect())
    }

    async fn convict(
        &self,
        who: Incarnation,
        seen_seq: u64,
        by: Incarnation,
        evidence: &str,
        _now: Timestamp,
    ) -> Result<bool, Error> {
        let mut cluster = self.reach()?;
        let row = cluster
            .row(who)
            .filter(|row| row.state != MemberState::Dead);
        let Some(row) = row.filter(|row| row.heartbeat_seq == seen_seq) else {
            return Ok(false);
        };
        row.state = MemberState::Dead;
        cluster.convictions.push((who, by, evidence.to_owned()));
        Ok(true)
    }

    async fn take_over(
        &self,
        dead: Incarnation,
        _by: Incarnation,
        limit: u32,
        poison_limit: u32,
        now: Timestamp,
    ) -> Result<Vec<Takeover>, Error> {
        let mut cluster = self.reach()?;
        let state = cluster.row(dead).map(|row| row.state);
        if state != Some(MemberState::Dead) {
            return Err(Error::Internal(format!("{dead} is not dead")));
        }
        cluster.largest_batch = cluster.largest_batch.max(limit);
        let owned = cluster.branches.entry(dead).or_default();
        let batch = owned.len().min(limit as usize);
        let freed = owned.drain(..batch).map(|lost| Takeover {
            branch: BranchId::new(Uuid::new_v4()),
            run: RunId::new(Uuid::new_v4()),
            from: dead,
            commit_no: CommitNo(1),
            node: "node".to_owned(),
            poisoned: lost + 1 >= poison_limit,
            at: now,
        });
        Ok(freed.collect())
    }

    async fn set_draining(&self, me: Incarnation) -> Result<(), Error> {
        if let Some(row) = self.reach()?.row(me) {
            row.state = MemberState::Draining;
        }
        Ok(())
    }

    async fn leave(&self, me: Incarnation) -> Result<(), Error> {
        let mut cluster = self.reach()?;
        if cluster.owns(me) == 0 {
            cluster.members.retain(|row| row.incarnation != me);
        }
        Ok(())
    }
}

pub fn new_member(window: Duration) -> NewMember {
    NewMember {
        incarnation: Incarnation::new(Uuid::new_v4()),
        name: "engine".to_owned(),
        window,
        host: "host".to_owned(),
        pid: 1,
        version: "0".to_owned(),
        pool: None,
        concurrency: 10,
        address: None,
    }
}

/// This machine with another clock; timers are the real ones.
#[derive(Clone)]
pub struct Staged(pub Arc<ManualClock>);

impl Clock for Staged {
    fn now(&self) -> Timestamp {
        self.0.now()
    }

    fn boot(&self) -> BootTime {
        self.0.boot()
    }
}

impl Host for Staged {
    fn sleep(&self, by: Duration) -> Task {
        SystemHost.sleep(by)
    }

    fn spawn(&self, task: Task) {
        SystemHost.spawn(task);
    }

    fn spawn_apart(&self, name: &'static str, task: Task) -> std::io::Result<()> {
        SystemHost.spawn_apart(name, task)
    }

    fn fresh_id(&self) -> Uuid {
        SystemHost.fresh_id()
    }
}

/// Waits until `reached`, and fails the test if that takes more than half a minute.
pub async fn eventually(what: &str, mut reached: impl FnMut() -> bool) {
    let start = Instant::now();
    while !reached() {
        assert!(start.elapsed() < Duration::from_secs(30), "never: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
