//! The background work that finds dead engines and frees what they ran.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use flux_core::clock::BootTime;
use flux_core::host::{Host, within};
use flux_core::ids::Incarnation;
use flux_core::ownership::{Observer, Timing, Trust, Verdict};
use flux_core::ports::Error;
use flux_core::ports::members::{Member, Members, Takeover};
use tokio::sync::{Notify, watch};
use tracing::{debug, error, info, warn};

use self::differences::Differences;
use crate::EVIDENCE;
use crate::calendar::Correction;
use crate::trust::TrustHandle;

mod differences;

/// How many branches one transaction of the store frees: enough to be quick, few enough not to
/// keep others from writing for long. Half as many after each failure: perhaps a slow store had no
/// time for so many.
const BATCH: std::ops::RangeInclusive<u32> = 10..=1_000;

/// What one pass has found and done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// The members that this pass declared dead.
    pub convicted: Vec<Conviction>,
    /// The branches that this pass freed.
    pub taken_over: Vec<Takeover>,
    /// The members that have been silent for more than half of their window.
    pub suspects: Vec<Incarnation>,
}

/// A member that was declared dead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conviction {
    /// The member.
    pub who: Incarnation,
    /// For how long it had been seen to be silent.
    pub silent: Duration,
}

/// Observes the other members and recovers the dead ones, pass by pass.
pub struct Failover {
    me: Incarnation,
    timing: Timing,
    poison_limit: u32,
    members: Arc<dyn Members>,
    host: Arc<dyn Host>,
    trust: TrustHandle,
    observer: Observer,
    suspects: BTreeSet<Incarnation>,
    differences: Differences,
    /// As they were last read.
    seen: Arc<Vec<Member>>,
    /// Of the store, when it was last observed.
    openings: u64,
    /// How many branches to free at a time.
    batch: u32,
}

impl Failover {
    /// The failover duty of `me`. A branch that has lost its engine `poison_limit` times without
    /// reaching a new commit point fails instead of being run again. `correction` follows what the
    /// clocks of the cluster say of this machine's.
    #[must_use]
    pub(crate) fn new(
        me: Incarnation,
        timing: Timing,
        poison_limit: u32,
        members: Arc<dyn Members>,
        host: Arc<dyn Host>,
        trust: TrustHandle,
        correction: Correction,
    ) -> Self {
        Self {
            me,
            timing,
            poison_limit,
            members,
            host,
            trust,
            observer: Observer::new(me, timing),
            suspects: BTreeSet::new(),
            differences: Differences::new(me, correction),
            seen: Arc::default(),
            openings: 0,
            batch: *BATCH.end(),
        }
    }

    /// Makes a pass every observation interval and at every nudge, for ever; publishes the
    /// report of each pass that has something to tell, and the members that it has read.
    pub async fn run(
        mut self,
        nudge: Arc<Notify>,
        reports: watch::Sender<Arc<Report>>,
        members: watch::Sender<Arc<Vec<Member>>>,
    ) {
        let mut failing = false;
        loop {
            let began = self.host.boot();
            match self.pass().await {
                Ok(report) => {
                    failing = false;
                    members.send_replace(self.seen.clone());
                    if report != Report::default() {
                        reports.send_replace(Arc::new(report));
                    }
                }
                Err(error) if !std::mem::replace(&mut failing, true) => {
                    warn!(engine.id = %self.me, %error, "observing the cluster fails; it is tried again");
                }
                Err(_) => {}
            }
            tokio::select! {
                biased;
                () = self.host.sleep(self.pause(began)) => {}
                () = nudge.notified() => {}
            }
        }
    }

    /// Until the next pass, of which one begins every interval: a store that answers slowly must not
    /// make every observation late, or nobody would ever be convicted. A quarter is always left to it.
    fn pause(&self, began: BootTime) -> Duration {
        let every = self.timing.observe;
        let took = self.host.boot().since(began);
        every.saturating_sub(took).max(every / 4)
    }

    /// One pass: observe, plan, execute, report.
    ///
    /// # Errors
    /// If the store fails. What was done before that stands, and the next pass goes on from it.
    pub async fn pass(&mut self) -> Result<Report, Error> {
        // Whoever cannot prove its own life does not judge others.
        if self.trust.state() != Trust::Full {
            self.observer.reset();
            return Ok(Report::default());
        }
        let members = self.read().await.inspect_err(|_| self.observer.reset())?;
        let openings = self.members.openings();
        if std::mem::replace(&mut self.openings, openings) != openings {
            self.observer.reset();
        }
        // After the answer: see `Observer::observe`.
        let verdicts = self.observer.observe(self.host.boot(), &members);
        self.differences.tell(&members);
        self.tell_suspects(&verdicts);
        let mut report = Report {
            suspects: self.suspects.iter().copied().collect(),
            ..Report::default()
        };
        self.seen = Arc::new(members);
        for verdict in verdicts {
            self.execute(verdict, &mut report).await?;
        }
        Ok(report)
    }

    async fn read(&self) -> Result<Vec<Member>, Error> {
        let members = self.members.members();
        let answer = within(&*self.host, self.timing.heartbeat_answer, members).await;
        answer.unwrap_or_else(|| Err(Error::Unavailable("no answer in time".to_owned())))
    }

    async fn execute(&mut self, verdict: Verdict, report: &mut Report) -> Result<(), Error> {
        match verdict {
            Verdict::Suspect { .. } => Ok(()),
            Verdict::TakeOver { who } => self.take_over(who, report).await,
            Verdict::Convict {
                who,
                seen_seq,
                silent,
            } => {
                if self.convict(who, seen_seq, silent).await? {
                    report.convicted.push(Conviction { who, silent });
                    self.take_over(who, report).await?;
                }
                Ok(())
            }
        }
    }

    /// `false` if it beat at the last moment or another engine was quicker: both are fine.
    async fn convict(&self, who: Incarnation, seq: u64, silent: Duration) -> Result<bool, Error> {
        if self.trust.state() != Trust::Full {
            return Ok(false);
        }
        let evidence = format!(
            "its heartbeat {seq} had not changed for {:.1} s",
            silent.as_secs_f64()
        );
        let (me, now) = (self.me, self.host.now());
        let judged = self.host.boot();
        let done = self.members.convict(who, seq, me, &evidence, now).await?;
        if done {
            leave_evidence(&*self.host, me, who, silent, judged);
            warn!(
                engine.id = %me, member.id = %who, member.seq = seq, silent_ms = silent.as_millis(),
                "declared a silent engine dead"
            );
        }
        Ok(done)
    }

    async fn take_over(&mut self, dead: Incarnation, report: &mut Report) -> Result<(), Error> {
        while self.trust.state() == Trust::Full {
            let (me, now) = (self.me, self.host.now());
            let freed = self
                .members
                .take_over(dead, me, self.batch, self.poison_limit, now)
                .await
                .inspect_err(|_| self.batch = (self.batch / 2).max(*BATCH.start()))?;
            self.batch = (self.batch * 2).min(*BATCH.end());
            if freed.is_empty() {
                break;
            }
            self.tell_freed(dead, &freed);
            report.taken_over.extend(freed);
        }
        Ok(())
    }

    fn tell_freed(&self, dead: Incarnation, freed: &[Takeover]) {
        info!(
            engine.id = %self.me, member.id = %dead, branches = freed.len(),
            "freed branches of a dead engine"
        );
        for branch in freed {
            debug!(
                target: EVIDENCE, event = "freed", engine.id = %self.me, member.id = %dead,
                run.id = %branch.run, branch.id = %branch.branch, commit_no = branch.commit_no.get(),
                boot_ns = self.host.boot().as_nanos(), "freed a branch of a dead engine"
            );
        }
        for branch in freed.iter().filter(|branch| branch.poisoned) {
            error!(
                run.id = %branch.run, branch.id = %branch.branch, node = branch.node,
                "a branch failed: it has lost its engine {} times in a row", self.poison_limit
            );
        }
    }

    fn tell_suspects(&mut self, verdicts: &[Verdict]) {
        let mut suspects = BTreeSet::new();
        for verdict in verdicts {
            let Verdict::Suspect { who, silent } = verdict else {
                continue;
            };
            if !self.suspects.contains(who) {
                info!(
                    engine.id = %self.me, member.id = %who, silent_ms = silent.as_millis(),
                    "an engine misses its heartbeats"
                );
            }
            suspects.insert(*who);
        }
        self.suspects = suspects;
    }
}

/// Tells [`EVIDENCE`] that `by` has convicted `who`.
pub(crate) fn leave_evidence(
    host: &dyn Host,
    by: Incarnation,
    who: Incarnation,
    silent: Duration,
    judged: BootTime,
) {
    debug!(
        target: EVIDENCE, event = "convicted", engine.id = %by, member.id = %who,
        silent_ns = nanos(silent), judged_ns = judged.as_nanos(),
        boot_ns = host.boot().as_nanos(), "convicted a silent engine"
    );
}

/// As a number of an event; 584 years are the most.
pub(crate) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
