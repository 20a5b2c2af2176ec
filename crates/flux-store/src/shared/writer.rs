//! The writer: one thread, one connection, one transaction for everything that is pending.
//!
//! A *tick* takes all requests that have come since the last one, applies them in one transaction,
//! commits, and answers. While it is in flight the next tick fills: nobody waits for a timer, and
//! a request that comes alone is committed at once. One whose rows somebody else has locked goes
//! with a later tick, and delays nobody.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use flux_core::clock::Timestamp;
use flux_core::ids::{BranchId, Incarnation, RunId};
use flux_core::ports::Error;
use flux_core::ports::branches::{
    ClaimRequest, Claims, Commit, Committed, Fence, Outlook, Release,
};
use flux_core::ports::definitions::{Firing, NewDefinition, ScheduleRecord};
use flux_core::ports::identity::Cluster;
use flux_core::ports::members::{Joined, Member, NewMember, Takeover};
use flux_core::ports::operations::{Change, Operated, Recovery};
use flux_core::ports::runs::{Event, NewRun, Signalled, Submitted, Taker};
use flux_core::throttle::Throttle;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;

use super::queries::effects::Effects;
use super::queries::{
    branches, claim, commit, definitions, members, operations, outlook, prune, release, signal,
    submit, takeover, throttles,
};
use super::{Conn, Opener, batch, lock, thread};
use crate::error::{Blame, Fail};
use crate::stats::Stats;

/// Requests in one transaction.
const TICK: usize = 1_000;

/// Times a tick is tried while others are in its way.
const TRIES: u32 = 3;

/// How long a request waits for rows that somebody else has locked.
const PATIENCE: Duration = Duration::from_secs(10);

/// How soon and how late such a request is tried again, when nothing else is to be done.
const AGAIN: (Duration, Duration) = (Duration::from_millis(2), Duration::from_millis(100));

/// A change to make; applied again as it is when its transaction was rolled back. What engines ask
/// for all the time travels along: readers are for people, and rest when nobody looks.
pub(crate) enum Write {
    Outlook(Option<String>, Timestamp),
    Cluster,
    Claim(ClaimRequest),
    Owned(Incarnation),
    Schedules,
    Commit(Box<Commit>),
    Release(Box<Release>),
    Submit(Vec<NewRun>, Option<Taker>),
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
    Change(RunId, Change, Timestamp),
    Recover(Recovery),
    Prune(Timestamp, u32),
    Throttle(Throttle),
    Drain(Incarnation),
    Leave(Incarnation),
}

/// What came of it.
pub(crate) enum Answer {
    Outlook(Outlook),
    Cluster(Cluster),
    Claims(Claims),
    Owned(Vec<(BranchId, Fence)>),
    Schedules(Vec<ScheduleRecord>),
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

#[derive(Default)]
struct Counters {
    ticks: AtomicU64,
    requests: AtomicU64,
    largest: AtomicU64,
}

struct Request {
    write: Write,
    answer: oneshot::Sender<Result<Answer, Error>>,
    /// Since when it waits for rows that somebody else has locked.
    locked_since: Option<Instant>,
}

impl Request {
    fn answer(self, answer: Result<Answer, Error>) {
        // Whoever asked may have gone; what was stored stays.
        let _asker = self.answer.send(answer);
    }
}

/// A handle; the thread ends with the last one.
#[derive(Clone)]
pub(crate) struct Writer {
    requests: UnboundedSender<Request>,
    counters: Arc<Counters>,
}

impl Writer {
    /// `name` is that of the thread.
    pub(crate) fn start(name: &str, opener: Opener) -> Writer {
        let (requests, receiver) = unbounded_channel();
        let counters = Arc::new(Counters::default());
        let thread = Thread {
            opener,
            conn: None,
            counters: Arc::clone(&counters),
        };
        thread::start(name.to_owned(), move || thread.run(receiver));
        Writer { requests, counters }
    }

    pub(crate) async fn write(&self, write: Write) -> Result<Answer, Error> {
        let (answer, answered) = oneshot::channel();
        let gone = || Error::Unavailable("the store's writer has ended".to_owned());
        self.requests
            .send(Request {
                write,
                answer,
                locked_since: None,
            })
            .map_err(|_| gone())?;
        answered.await.map_err(|_| gone())?
    }

    /// Without the statements, which all connections of a store have in common.
    pub(crate) fn stats(&self) -> Stats {
        Stats {
            ticks: self.counters.ticks.load(Ordering::Relaxed),
            requests: self.counters.requests.load(Ordering::Relaxed),
            largest: self.counters.largest.load(Ordering::Relaxed),
            statements: 0,
        }
    }
}

struct Thread {
    opener: Opener,
    conn: Option<Conn>,
    counters: Arc<Counters>,
}

impl Thread {
    async fn run(mut self, mut requests: UnboundedReceiver<Request>) {
        let mut tick = Vec::new();
        while next(&mut requests, &mut tick).await {
            tick = self.tick(std::mem::take(&mut tick)).await;
        }
    }

    /// Answers all of them but those that it returns: somebody else has locked what they need.
    async fn tick(&mut self, tick: Vec<Request>) -> Vec<Request> {
        let size = tick.len() as u64;
        self.counters.ticks.fetch_add(1, Ordering::Relaxed);
        self.counters.requests.fetch_add(size, Ordering::Relaxed);
        self.counters.largest.fetch_max(size, Ordering::Relaxed);
        let mut locked = Vec::new();
        match self.apply(&tick).await {
            Ok(answers) => {
                for (request, answer) in tick.into_iter().zip(answers) {
                    match answer {
                        Some(answer) => request.answer(Ok(answer)),
                        None => locked.extend(patient(request)),
                    }
                }
            }
            // One of them is at fault: each goes alone, so that the others do not suffer.
            Err(fail) if is_of_one(&fail) && tick.len() > 1 => {
                for request in tick {
                    locked.extend(Box::pin(self.tick(vec![request])).await);
                }
            }
            Err(fail) => {
                let error = Error::from(fail);
                for request in tick {
                    request.answer(Err(error.clone()));
                }
            }
        }
        locked
    }

    /// All in one transaction, or none; without those whose rows somebody else has locked.
    async fn apply(&mut self, tick: &[Request]) -> Result<Vec<Option<Answer>>, Fail> {
        let mut tries = 0;
        loop {
            tries += 1;
            let used = self.conn.is_some();
            let conn = self.connection().await?;
            let mut committing = false;
            let every = tries > 1 || tick.iter().any(|request| request.locked_since.is_some());
            let writes: Vec<&Write> = tick.iter().map(|request| &request.write).collect();
            let result = conn
                .within_deadline(async |conn| {
                    transaction(conn, &writes, every, &mut committing).await
                })
                .await;
            let Err(fail) = &result else { return result };
            match fail.blame() {
                Blame::Request => return result,
                Blame::Busy if tries < TRIES => {}
                Blame::Busy => return result,
                Blame::Connection => {
                    self.conn = None;
                    // A connection that broke while nobody used it is no reason to fail. But what
                    // may have been committed is done again only by whoever asked for it.
                    if !used || committing {
                        return result;
                    }
                }
            }
        }
    }

    async fn connection(&mut self) -> Result<&mut Conn, Fail> {
        if self.conn.is_none() {
            self.conn = Some(self.opener.open().await?);
        }
        self.conn
            .as_mut()
            .ok_or_else(|| Fail::Lost("no connection".to_owned()))
    }
}

/// Whether without one of the requests the others could succeed.
fn is_of_one(fail: &Fail) -> bool {
    match fail.blame() {
        Blame::Request => true,
        Blame::Busy => lock::ROWS,
        Blame::Connection => false,
    }
}

/// Fills a tick; false when there is nothing left to do, and never will be.
async fn next(requests: &mut UnboundedReceiver<Request>, tick: &mut Vec<Request>) -> bool {
    let Some(since) = tick.iter().filter_map(|request| request.locked_since).min() else {
        return requests.recv_many(tick, TICK).await > 0;
    };
    let pause = (since.elapsed() / 4).clamp(AGAIN.0, AGAIN.1);
    let more = requests.recv_many(tick, TICK);
    match tokio::time::timeout(pause, more).await {
        // Nobody asks any more; those who did have gone.
        Ok(0) => false,
        Ok(_) | Err(_) => true,
    }
}

/// A request that waits for somebody else, unless it has done so for too long.
fn patient(mut request: Request) -> Option<Request> {
    let since = *request.locked_since.get_or_insert_with(Instant::now);
    if since.elapsed() < PATIENCE {
        return Some(request);
    }
    let text = format!("another session has locked its rows for {PATIENCE:?}");
    request.answer(Err(Error::Unavailable(text)));
    None
}

/// `committing` becomes true when the outcome is no longer ours to decide.
async fn transaction(
    conn: &mut Conn,
    writes: &[&Write],
    every: bool,
    committing: &mut bool,
) -> Result<Vec<Option<Answer>>, Fail> {
    if let [write @ (Write::Outlook(..) | Write::Cluster)] = writes {
        // An engine that has nothing to do asks this all the time, and hardly anything else.
        conn.begin_alone();
        return Ok(vec![Some(one(conn, write).await?)]);
    }
    conn.begin().await?;
    match all(conn, writes, every, committing).await {
        Ok(answers) => Ok(answers),
        Err(fail) if fail.blame() == Blame::Connection => Err(fail),
        Err(fail) => {
            conn.roll_back().await?;
            Err(fail)
        }
    }
}

async fn all(
    conn: &mut Conn,
    writes: &[&Write],
    every: bool,
    committing: &mut bool,
) -> Result<Vec<Option<Answer>>, Fail> {
    let is_free = lock::rows(conn, writes, every).await?;
    let free: Vec<&Write> = (writes.iter().zip(&is_free))
        .filter_map(|(write, is_free)| is_free.then_some(*write))
        .collect();
    let together = batch::apply(conn, &free).await?;
    let mut answers = Vec::with_capacity(free.len());
    for (write, answer) in free.into_iter().zip(together) {
        answers.push(match answer {
            Some(answer) => answer,
            None => one(conn, write).await?,
        });
    }
    *committing = true;
    conn.commit().await?;
    let mut answers = answers.into_iter();
    let answer = |is_free: bool| if is_free { answers.next() } else { None };
    Ok(is_free.into_iter().map(answer).collect())
}

async fn one(conn: &mut Conn, write: &Write) -> Result<Answer, Fail> {
    Ok(match write {
        Write::Outlook(pool, now) => {
            Answer::Outlook(outlook::outlook(conn, pool.as_deref(), *now).await?)
        }
        Write::Cluster => Answer::Cluster(members::cluster(conn).await?),
        Write::Claim(request) => Answer::Claims(claim::claim(conn, request).await?),
        Write::Owned(owner) => Answer::Owned(branches::owned(conn, *owner).await?),
        Write::Schedules => Answer::Schedules(definitions::schedules(conn).await?),
        Write::Commit(c) => Answer::Committed(commit::commit(conn, c).await?),
        Write::Release(r) => {
            let mut fx = Effects::at(r.now);
            Answer::Yes(release::release(conn, &mut fx, r).await?)
        }
        Write::Submit(runs, taker) => {
            Answer::Submitted(submit::submit(conn, runs, taker.as_ref()).await?)
        }
        Write::Signal(run, event, now) => {
            let mut fx = Effects::at(*now);
            Answer::Signalled(signal::signal(conn, &mut fx, *run, event).await?)
        }
        Write::Deploy(new) => {
            definitions::deploy(conn, new).await?;
            Answer::Done
        }
        Write::Fire(firing) => Answer::Yes(definitions::fire(conn, firing).await?),
        Write::Change(..) | Write::Recover(_) | Write::Prune(..) | Write::Throttle(_) => {
            of_operators(conn, write).await?
        }
        member => of_members(conn, member).await?,
    })
}

async fn of_operators(conn: &mut Conn, write: &Write) -> Result<Answer, Fail> {
    Ok(match write {
        Write::Change(run, change, now) => {
            let mut fx = Effects::at(*now);
            Answer::Operated(operations::change(conn, &mut fx, *run, *change).await?)
        }
        Write::Recover(recovery) => Answer::Operated(operations::recover(conn, recovery).await?),
        Write::Prune(before, limit) => Answer::Pruned(prune::prune(conn, *before, *limit).await?),
        Write::Throttle(throttle) => {
            throttles::put(conn, throttle).await?;
            Answer::Done
        }
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
