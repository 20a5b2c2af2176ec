//! The store: the ports on the writer and the readers.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use flux_core::chart::{ChartId, WorkflowName};
use flux_core::clock::Timestamp;
use flux_core::ids::{BranchId, Incarnation, RunId};
use flux_core::ports::Error;
use flux_core::ports::branches::{
    Branches, ClaimRequest, Claims, Commit, Committed, Fence, Outlook, Release,
};
use flux_core::ports::definitions::{
    DefinitionRecord, Definitions, Firing, NewDefinition, ScheduleRecord,
};
use flux_core::ports::identity::{Cluster, Identity};
use flux_core::ports::members::{Joined, Member, Members, NewMember, Takeover};
use flux_core::ports::operations::{Change, Operated, Operations, Recovery};
use flux_core::ports::runs::{
    BranchRecord, Event, FailoverRecord, HistoryRecord, NewRun, RunFilter, RunRecord, Runs,
    Signalled, Submitted, TakeoverRecord, Taker,
};
use flux_core::ports::throttles::{ThrottleRecord, Throttles};
use flux_core::throttle::Throttle;

use super::Opener;
use super::queries::{branches, definitions, history, runs, throttles};
use super::reader::Readers;
use super::writer::{Answer, Write, Writer};
use crate::stats::Stats;

/// A store that many processes may use at the same time.
pub struct Store {
    opener: Opener,
    writer: Writer,
    readers: Readers,
}

impl Store {
    /// Starts the threads of a store that is ready to be used.
    pub(crate) fn start(opener: Opener) -> Store {
        Store {
            writer: Writer::start("flux-writer", opener.clone()),
            readers: Readers::start(&opener),
            opener,
        }
    }
}

impl crate::Store for Store {
    fn members(&self) -> Arc<dyn Members> {
        let opener = self.opener.for_members();
        Arc::new(MembersStore {
            openings: opener.openings(),
            writer: Writer::start("flux-members", opener),
        })
    }

    fn stats(&self) -> Stats {
        Stats {
            statements: self.opener.statements().so_far(),
            ..self.writer.stats()
        }
    }
}

fn unexpected<T>() -> Result<T, Error> {
    Err(Error::Internal(
        "the writer answered another question".to_owned(),
    ))
}

#[async_trait]
impl Branches for Store {
    async fn outlook(&self, pool: Option<String>, now: Timestamp) -> Result<Outlook, Error> {
        match self.writer.write(Write::Outlook(pool, now)).await? {
            Answer::Outlook(outlook) => Ok(outlook),
            _ => unexpected(),
        }
    }

    async fn claim(&self, request: ClaimRequest) -> Result<Claims, Error> {
        match self.writer.write(Write::Claim(request)).await? {
            Answer::Claims(claims) => Ok(claims),
            _ => unexpected(),
        }
    }

    async fn commit(&self, commit: Commit) -> Result<Committed, Error> {
        match self.writer.write(Write::Commit(Box::new(commit))).await? {
            Answer::Committed(committed) => Ok(committed),
            _ => unexpected(),
        }
    }

    async fn release(&self, release: Release) -> Result<bool, Error> {
        match self.writer.write(Write::Release(Box::new(release))).await? {
            Answer::Yes(yes) => Ok(yes),
            _ => unexpected(),
        }
    }

    async fn owned(&self, owner: Incarnation) -> Result<Vec<(BranchId, Fence)>, Error> {
        match self.writer.write(Write::Owned(owner)).await? {
            Answer::Owned(owned) => Ok(owned),
            _ => unexpected(),
        }
    }
}

#[async_trait]
impl Runs for Store {
    async fn submit_and_take(
        &self,
        runs: Vec<NewRun>,
        taker: Option<Taker>,
    ) -> Result<Vec<Submitted>, Error> {
        match self.writer.write(Write::Submit(runs, taker)).await? {
            Answer::Submitted(submitted) => Ok(submitted),
            _ => unexpected(),
        }
    }

    async fn signal(&self, run: RunId, event: Event, now: Timestamp) -> Result<Signalled, Error> {
        match self.writer.write(Write::Signal(run, event, now)).await? {
            Answer::Signalled(signalled) => Ok(signalled),
            _ => unexpected(),
        }
    }

    async fn run(&self, id: RunId) -> Result<Option<RunRecord>, Error> {
        self.readers
            .read(async move |conn: &mut super::Conn| runs::run(conn, id).await)
            .await
    }

    async fn list(&self, filter: RunFilter) -> Result<Vec<RunRecord>, Error> {
        self.readers
            .read(async move |conn: &mut super::Conn| runs::list(conn, &filter).await)
            .await
    }

    async fn branches(&self, run: RunId) -> Result<Vec<BranchRecord>, Error> {
        self.readers
            .read(async move |conn: &mut super::Conn| branches::of_run(conn, run).await)
            .await
    }

    async fn history(&self, run: RunId) -> Result<Vec<HistoryRecord>, Error> {
        self.readers
            .read(async move |conn: &mut super::Conn| history::of_run(conn, run).await)
            .await
    }

    async fn failovers(&self, limit: u32) -> Result<Vec<FailoverRecord>, Error> {
        self.readers
            .read(async move |conn: &mut super::Conn| history::failovers(conn, limit).await)
            .await
    }

    async fn takeovers(&self, from: Incarnation, limit: u32) -> Result<Vec<TakeoverRecord>, Error> {
        self.readers
            .read(async move |conn: &mut super::Conn| history::takeovers(conn, from, limit).await)
            .await
    }
}

#[async_trait]
impl Operations for Store {
    async fn change(&self, run: RunId, change: Change, now: Timestamp) -> Result<Operated, Error> {
        match self.writer.write(Write::Change(run, change, now)).await? {
            Answer::Operated(operated) => Ok(operated),
            _ => unexpected(),
        }
    }

    async fn recover(&self, recovery: Recovery) -> Result<Operated, Error> {
        match self.writer.write(Write::Recover(recovery)).await? {
            Answer::Operated(operated) => Ok(operated),
            _ => unexpected(),
        }
    }

    async fn prune(&self, before: Timestamp, limit: u32) -> Result<u64, Error> {
        match self.writer.write(Write::Prune(before, limit)).await? {
            Answer::Pruned(count) => Ok(count),
            _ => unexpected(),
        }
    }
}

#[async_trait]
impl Throttles for Store {
    async fn throttle(&self, throttle: Throttle) -> Result<(), Error> {
        let write = Write::Throttle(throttle);
        self.writer.write(write).await.map(|_| ())
    }

    async fn throttles(&self) -> Result<Vec<ThrottleRecord>, Error> {
        self.readers
            .read(async move |conn: &mut super::Conn| throttles::records(conn).await)
            .await
    }
}

#[async_trait]
impl Definitions for Store {
    async fn deploy(&self, definition: NewDefinition) -> Result<(), Error> {
        self.writer
            .write(Write::Deploy(definition))
            .await
            .map(|_| ())
    }

    async fn source(&self, chart: &ChartId) -> Result<Option<String>, Error> {
        let chart = chart.clone();
        self.readers
            .read(async move |conn: &mut super::Conn| definitions::source(conn, &chart).await)
            .await
    }

    async fn find(&self, name: &WorkflowName) -> Result<Option<ChartId>, Error> {
        let name = name.clone();
        self.readers
            .read(async move |conn: &mut super::Conn| definitions::find(conn, &name).await)
            .await
    }

    async fn definitions(&self) -> Result<Vec<DefinitionRecord>, Error> {
        self.readers
            .read(async move |conn: &mut super::Conn| definitions::all(conn).await)
            .await
    }

    async fn schedules(&self) -> Result<Vec<ScheduleRecord>, Error> {
        match self.writer.write(Write::Schedules).await? {
            Answer::Schedules(schedules) => Ok(schedules),
            _ => unexpected(),
        }
    }

    async fn fire(&self, firing: Firing) -> Result<bool, Error> {
        match self.writer.write(Write::Fire(firing)).await? {
            Answer::Yes(yes) => Ok(yes),
            _ => unexpected(),
        }
    }
}

#[async_trait]
impl Identity for Store {
    async fn cluster(&self) -> Result<Cluster, Error> {
        match self.writer.write(Write::Cluster).await? {
            Answer::Cluster(cluster) => Ok(cluster),
            _ => unexpected(),
        }
    }
}

struct MembersStore {
    writer: Writer,
    openings: Arc<AtomicU64>,
}

impl MembersStore {
    async fn yes(&self, write: Write) -> Result<bool, Error> {
        match self.writer.write(write).await? {
            Answer::Yes(yes) => Ok(yes),
            _ => unexpected(),
        }
    }
}

#[async_trait]
impl Members for MembersStore {
    async fn join(&self, m: NewMember, limit: u32, now: Timestamp) -> Result<Joined, Error> {
        match self.writer.write(Write::Join(m, limit, now)).await? {
            Answer::Joined(joined) => Ok(joined),
            _ => unexpected(),
        }
    }

    async fn heartbeat(&self, me: Incarnation, now: Timestamp) -> Result<bool, Error> {
        self.yes(Write::Heartbeat(me, now)).await
    }

    fn openings(&self) -> u64 {
        self.openings.load(Ordering::Acquire)
    }

    async fn members(&self) -> Result<Vec<Member>, Error> {
        match self.writer.write(Write::Members).await? {
            Answer::Members(members) => Ok(members),
            _ => unexpected(),
        }
    }

    async fn convict(
        &self,
        who: Incarnation,
        seen_seq: u64,
        by: Incarnation,
        evidence: &str,
        now: Timestamp,
    ) -> Result<bool, Error> {
        let evidence = evidence.to_owned();
        self.yes(Write::Convict {
            who,
            seen: seen_seq,
            by,
            evidence,
            now,
        })
        .await
    }

    async fn take_over(
        &self,
        dead: Incarnation,
        _by: Incarnation,
        limit: u32,
        poison_limit: u32,
        now: Timestamp,
    ) -> Result<Vec<Takeover>, Error> {
        match self
            .writer
            .write(Write::TakeOver {
                dead,
                limit,
                poison_limit,
                now,
            })
            .await?
        {
            Answer::Takeovers(takeovers) => Ok(takeovers),
            _ => unexpected(),
        }
    }

    async fn set_draining(&self, me: Incarnation) -> Result<(), Error> {
        self.writer.write(Write::Drain(me)).await.map(|_| ())
    }

    async fn leave(&self, me: Incarnation) -> Result<(), Error> {
        self.writer.write(Write::Leave(me)).await.map(|_| ())
    }
}
