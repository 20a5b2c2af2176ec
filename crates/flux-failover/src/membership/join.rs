//! Entering the cluster, and putting away an incarnation that has ended.

use std::collections::HashMap;
use std::time::Duration;

use flux_core::host::{Host, within};
use flux_core::ids::Incarnation;
use flux_core::ownership::{Observer, Timing, Verdict};
use flux_core::ports::Error;
use flux_core::ports::members::{Joined, Member, MemberState, Members, NewMember};
use tracing::{debug, info, warn};

use super::{Config, StartError};
use crate::EVIDENCE;
use crate::failover::{leave_evidence, nanos};

/// The pause between two tries grows from here ...
const SHORTEST_PAUSE: Duration = Duration::from_millis(50);
/// ... up to here.
pub(super) const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// How long one call may take.
const ANSWER: Duration = Duration::from_secs(30);
/// A window above this disables failover (`+10y`): nobody would live to see its end.
const LONGEST_WATCH: Duration = Duration::from_secs(24 * 60 * 60);

/// Joins as a new incarnation, and waits for the store as long as that takes.
pub(super) async fn join(
    config: &Config,
    members: &dyn Members,
    host: &dyn Host,
) -> Result<Incarnation, StartError> {
    let incarnation = Incarnation::new(host.fresh_id());
    let limit = config.max_cluster_size;
    let mut pause = Pause::default();
    loop {
        let me = NewMember {
            incarnation,
            name: config.name.clone(),
            window: config.window,
            host: config.host.clone(),
            pid: config.pid,
            version: config.version.clone(),
            pool: config.pool.clone(),
            concurrency: config.concurrency,
            address: config.address.clone(),
        };
        match answered(host, members.join(me, limit, host.now())).await {
            Ok(Joined::Yes) => {
                info!(engine.id = %incarnation, engine.name = config.name, "joined the cluster");
                debug!(
                    target: EVIDENCE, event = "joined", engine.id = %incarnation,
                    window_ns = nanos(config.window), max_cluster_size = config.max_cluster_size,
                    poison_limit = config.poison_limit, boot_ns = host.boot().as_nanos(),
                    "joined the cluster"
                );
                return Ok(incarnation);
            }
            Ok(Joined::Full { limit }) => {
                if !place(incarnation, config, members, host).await {
                    return Err(StartError::ClusterFull { limit });
                }
            }
            Err(error) if error.is_transient() => {
                if pause.is_first() {
                    warn!(engine.name = config.name, %error, "joining fails; it is tried again");
                }
                pause.wait(host).await;
            }
            Err(error) => return Err(StartError::Store(error)),
        }
    }
}

/// Waits until a place may be free; `false` when everybody who holds one has been seen alive.
///
/// The places of engines that died are held until somebody convicts them. Where nobody else lives,
/// that must be the engine that wants to join: otherwise a cluster that lost its power, or one
/// engine that crashes again and again, would shut itself out for ever.
async fn place(me: Incarnation, config: &Config, members: &dyn Members, host: &dyn Host) -> bool {
    if config.window > LONGEST_WATCH {
        return false;
    }
    info!(
        engine.name = config.name,
        "every place is taken; watching whether all of them are alive"
    );
    let timing = Timing::of(config.window);
    let mut observer = Observer::new(me, timing);
    let mut first: HashMap<Incarnation, u64> = HashMap::new();
    loop {
        let Ok(all) = answered(host, members.members()).await else {
            // The caller tells of a store that is away.
            return true;
        };
        let living = |member: &&Member| member.state != MemberState::Dead;
        let count = all.iter().filter(living).count();
        if count < config.max_cluster_size as usize {
            return true;
        }
        let beats = |member: &Member| {
            let seq = member.heartbeat_seq;
            seq > *first.entry(member.incarnation).or_insert(seq)
        };
        if all
            .iter()
            .filter(living)
            .map(beats)
            .filter(|beats| *beats)
            .count()
            == count
        {
            return false;
        }
        for verdict in observer.observe(host.boot(), &all) {
            if let Verdict::Convict {
                who,
                seen_seq,
                silent,
            } = verdict
            {
                let evidence = format!(
                    "its heartbeat {seen_seq} had not changed for {:.1} s, and engine {} needed its place",
                    silent.as_secs_f64(),
                    config.name
                );
                let judged = host.boot();
                let convicted = members
                    .convict(who, seen_seq, me, &evidence, host.now())
                    .await;
                if convicted.is_ok_and(|convicted| convicted) {
                    leave_evidence(host, me, who, silent, judged);
                    warn!(engine.name = config.name, member.id = %who, "declared a silent engine dead");
                    return true;
                }
            }
        }
        host.sleep(timing.observe).await;
    }
}

/// Makes the ended incarnation `old` known to be so. It convicts itself, which nobody else may do
/// without waiting: only the engine knows that everything it ran has stopped.
pub(super) async fn bury(old: Incarnation, members: &dyn Members, host: &dyn Host) {
    let mut pause = Pause::default();
    loop {
        match answered(host, try_to_bury(old, members, host)).await {
            Ok(true) => return,
            Ok(false) => {}
            Err(error) if error.is_transient() => {
                if pause.is_first() {
                    warn!(engine.id = %old, %error, "stepping down waits for the store");
                }
            }
            Err(error) => {
                // The others will convict it after its window.
                warn!(engine.id = %old, %error, "could not record the step down");
                return;
            }
        }
        pause.wait(host).await;
    }
}

/// `false` if a heartbeat that was still on its way came in between.
async fn try_to_bury(
    old: Incarnation,
    members: &dyn Members,
    host: &dyn Host,
) -> Result<bool, Error> {
    let all = members.members().await?;
    let row = all.into_iter().find(|member| member.incarnation == old);
    let Some(row) = row.filter(|row| row.state != MemberState::Dead) else {
        return Ok(true);
    };
    debug!(
        target: EVIDENCE, event = "leaves", engine.id = %old, boot_ns = host.boot().as_nanos(),
        "is about to be put away by itself"
    );
    if row.running == 0 {
        members.leave(old).await?;
        return Ok(true);
    }
    let evidence = "it stepped down and stopped everything itself";
    members
        .convict(old, row.heartbeat_seq, old, evidence, host.now())
        .await
}

async fn answered<T>(
    host: &dyn Host,
    call: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    let answer = within(host, ANSWER, call).await;
    answer.unwrap_or_else(|| Err(Error::Unavailable("no answer in time".to_owned())))
}

/// Pauses that double from one try to the next.
#[derive(Default)]
struct Pause(Option<Duration>);

impl Pause {
    fn is_first(&self) -> bool {
        self.0.is_none()
    }

    async fn wait(&mut self, host: &dyn Host) {
        let next = self.0.map_or(SHORTEST_PAUSE, |last| last * 2);
        let next = next.min(LONGEST_PAUSE);
        self.0 = Some(next);
        host.sleep(next).await;
    }
}
