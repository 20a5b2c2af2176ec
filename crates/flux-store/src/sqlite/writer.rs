//! The writer: one thread, one connection, one transaction for everything that is pending.
//!
//! A *tick* takes all requests that have come since the last one, applies them in one transaction,
//! commits, and answers. While it is in flight the next tick fills: nobody waits for a timer, and
//! a request that comes alone is committed at once.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use flux_core::clock::Timestamp;
use flux_core::ids::{Incarnation, RunId};
use flux_core::ports::Error;
use flux_core::ports::branches::{ClaimRequest, Claims, Commit, Committed, Release};
use flux_core::ports::definitions::{Firing, NewDefinition};
use flux_core::ports::members::{Joined, Member, NewMember, Takeover};
use flux_core::ports::operations::{Operated, Recovery};
use flux_core::ports::runs::{Event, NewRun, Signalled, Submitted};
use tokio::sync::oneshot;

use super::conn::{Conn, block_on, connect};
use super::dialect;
use crate::error::{Blame, Fail};
use crate::queries::effects::Effects;
use crate::queries::{
    claim, commit, definitions, members, operations, prune, release, signal, submit, takeover,
};

/// Requests in one transaction.
const TICK: usize = 1_000;

/// Times a tick is tried again while another process holds the lock, each after the busy timeout.
const TRIES: u32 = 3;

/// A change to make; applied again as it is when its transaction was rolled back.
pub(crate) enum Write {
    Claim(ClaimRequest),
    Commit(Box<Commit>),
    Release(Box<Release>),
    Submit(Vec<NewRun>),
    Signal(RunId, Event, Timestamp),
    Deploy(NewDefinition),
    Fire(Firing),
    Join(NewMember, u32, Timestamp),
    Heartbeat(Incarnation, Timestamp),
    Members,
    Convict {
        who: Incarnation,
        seen: u64,
        by: Incarnation,
        evidence: String,
        now: Timestamp,
    },
    TakeOver {
        dead: Incarnation,
        limit: u32,
        poison_limit: u32,
        now: Timestamp,
    },
    Cancel(RunId, Timestamp),
    Recover(Recovery),
    Prune(Timestamp, u32),
    Drain(Incarnation),
    Leave(Incarnation),
}

/// What came of it.
pub(crate) enum Answer {
    Claims(Claims),
    Committed(Committed),
    Yes(bool),
    Submitted(Vec<Submitted>),
    Signalled(Signalled),
    Joined(Joined),
    Members(Vec<Member>),
    Takeovers(Vec<Takeover>),
    Operated(Operated),
    Pruned(u64),
    Done,
}

/// How much the writer has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Transactions.
    pub ticks: u64,
    /// Requests in them.
    pub requests: u64,
    /// Most requests in one transaction.
    pub largest: u64,
}

#[derive(Default)]
struct Counters {
    ticks: AtomicU64,
    requests: AtomicU64,
    largest: AtomicU64,
}

struct Request {
    write: Write,
    answer: oneshot::Sender<Result<Answer, Error>>,
}

/// A handle; the thread ends with the last one.
#[derive(Clone)]
pub(crate) struct Writer {
    requests: Sender<Request>,
    counters: Arc<Counters>,
}

impl Writer {
    pub(crate) fn start(path: PathBuf, busy: Duration) -> Writer {
        let (requests, receiver) = channel();
        let counters = Arc::new(Counters::default());
        let thread = Thread {
            path,
            busy,
            conn: None,
            counters: Arc::clone(&counters),
        };
        let started = std::thread::Builder::new()
            .name("flux-writer".to_owned())
            .spawn(move || thread.run(&receiver));
        if let Err(error) = started {
            // Every request is then answered as unavailable: the receiver is gone.
            tracing::error!("cannot start the store's writer: {error}");
        }
        Writer { requests, counters }
    }

    pub(crate) async fn write(&self, write: Write) -> Result<Answer, Error> {
        let (answer, answered) = oneshot::channel();
        let gone = || Error::Unavailable("the store's writer has ended".to_owned());
        self.requests
            .send(Request { write, answer })
            .map_err(|_| gone())?;
        answered.await.map_err(|_| gone())?
    }

    pub(crate) fn stats(&self) -> Stats {
        Stats {
            ticks: self.counters.ticks.load(Ordering::Relaxed),
            requests: self.counters.requests.load(Ordering::Relaxed),
            largest: self.counters.largest.load(Ordering::Relaxed),
        }
    }
}

struct Thread {
    path: PathBuf,
    busy: Duration,
    conn: Option<Conn>,
    counters: Arc<Counters>,
}

impl Thread {
    fn run(mut self, requests: &Receiver<Request>) {
        while let Ok(first) = requests.recv() {
            let mut tick = vec![first];
            while tick.len() < TICK
                && let Ok(request) = requests.try_recv()
            {
                tick.push(request);
            }
            self.tick(tick);
        }
    }

    fn tick(&mut self, tick: Vec<Request>) {
        let size = tick.len() as u64;
        self.counters.ticks.fetch_add(1, Ordering::Relaxed);
        self.counters.requests.fetch_add(size, Ordering::Relaxed);
        self.counters.largest.fetch_max(size, Ordering::Relaxed);
        match self.apply(&tick) {
            Ok(answers) => {
                for (request, answer) in tick.into_iter().zip(answers) {
                    // Whoever asked may have gone; what was stored stays.
                    let _asker = request.answer.send(Ok(answer));
                }
            }
            // One of them is at fault: each goes alone, so that the others do not suffer.
            Err(fail) if fail.blame() == Blame::Request && tick.len() > 1 => {
                for request in tick {
                    self.tick(vec![request]);
                }
            }
            Err(fail) => {
                let error = Error::from(fail);
                for request in tick {
                    let _asker = request.answer.send(Err(error.clone()));
                }
            }
        }
    }

    /// All in one transaction, or none.
    fn apply(&mut self, tick: &[Request]) -> Result<Vec<Answer>, Fail> {
        let mut tries = 0;
        loop {
            tries += 1;
            let conn = self.connection()?;
            let result = block_on(transaction(conn, tick));
            let Err(fail) = &result else { return result };
            match fail.blame() {
                Blame::Busy if tries < TRIES => {}
                Blame::Request | Blame::Busy => return result,
                Blame::Connection => {
                    self.conn = None;
                    return result;
                }
            }
        }
    }

    fn connection(&mut self) -> Result<&mut Conn, Fail> {
        if self.conn.is_none() {
            let opened = connect(&self.path, self.busy);
            let opened = opened.map_err(|error| Error::Unavailable(error.to_string()))?;
            self.conn = Some(Conn::new(opened));
        }
        self.conn
            .as_mut()
            .ok_or_else(|| Error::Unavailable("no connection".to_owned()).into())
    }
}

async fn transaction(conn: &mut Conn, tick: &[Request]) -> Result<Vec<Answer>, Fail> {
    conn.batch(dialect::BEGIN_WRITE)?;
    match all(conn, tick).await {
        Ok(answers) => Ok(answers),
        Err(fail) => {
            // After some errors SQLite has rolled back already, and says so here.
            let _rolled_back = conn.batch("ROLLBACK");
            Err(fail)
        }
    }
}

async fn all(conn: &mut Conn, tick: &[Request]) -> Result<Vec<Answer>, Fail> {
    let mut answers = Vec::with_capacity(tick.len());
    for request in tick {
        answers.push(one(conn, &request.write).await?);
    }
    conn.batch("COMMIT")?;
    Ok(answers)
}

async fn one(conn: &mut Conn, write: &Write) -> Result<Answer, Fail> {
    Ok(match write {
        Write::Claim(request) => Answer::Claims(claim::claim(conn, request).await?),
        Write::Commit(c) => Answer::Committed(commit::commit(conn, c).await?),
        Write::Release(r) => {
            let mut fx = Effects::at(r.now);
            Answer::Yes(release::release(conn, &mut fx, r).await?)
        }
        Write::Submit(runs) => Answer::Submitted(submit::submit(conn, runs).await?),
        Write::Signal(run, event, now) => {
            let mut fx = Effects::at(*now);
            Answer::Signalled(signal::signal(conn, &mut fx, *run, event).await?)
        }
        Write::Deploy(new) => {
            definitions::deploy(conn, new).await?;
            Answer::Done
        }
        Write::Fire(firing) => Answer::Yes(definitions::fire(conn, firing).await?),
        Write::Cancel(..) | Write::Recover(_) | Write::Prune(..) => {
            of_operators(conn, write).await?
        }
        member => of_members(conn, member).await?,
    })
}

async fn of_operators(conn: &mut Conn, write: &Write) -> Result<Answer, Fail> {
    Ok(match write {
        Write::Cancel(run, now) => {
            let mut fx = Effects::at(*now);
            Answer::Operated(operations::cancel(conn, &mut fx, *run).await?)
        }
        Write::Recover(recovery) => Answer::Operated(operations::recover(conn, recovery).await?),
        Write::Prune(before, limit) => Answer::Pruned(prune::prune(conn, *before, *limit).await?),
        _ => Answer::Done,
    })
}

async fn of_members(conn: &mut Conn, write: &Write) -> Result<Answer, Fail> {
    Ok(match write {
        Write::Join(m, limit, now) => Answer::Joined(members::join(conn, m, *limit, *now).await?),
        Write::Heartbeat(me, now) => Answer::Yes(members::heartbeat(conn, *me, *now).await?),
        Write::Members => Answer::Members(members::members(conn).await?),
        Write::Convict {
            who,
            seen,
            by,
            evidence,
            now,
        } => Answer::Yes(members::convict(conn, *who, *seen, *by, evidence, *now).await?),
        Write::TakeOver {
            dead,
            limit,
            poison_limit,
            now,
        } => {
            let mut fx = Effects::at(*now);
            let freed = takeover::take_over(conn, &mut fx, *dead, *limit, *poison_limit).await?;
            Answer::Takeovers(freed)
        }
        Write::Drain(me) => {
            members::set_draining(conn, *me).await?;
            Answer::Done
        }
        Write::Leave(me) => {
            members::leave(conn, *me).await?;
            Answer::Done
        }
        _ => Answer::Done,
    })
}
