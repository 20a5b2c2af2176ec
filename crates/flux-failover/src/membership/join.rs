//! Entering the cluster, and putting away an incarnation that has ended.

use std::time::Duration;

use flux_core::clock::Clock;
use flux_core::ids::Incarnation;
use flux_core::ports::Error;
use flux_core::ports::members::{Joined, MemberState, Members, NewMember};
use tokio::time::{sleep, timeout};
use tracing::{info, warn};
use uuid::Uuid;

use super::{Config, StartError};

/// The pause between two tries grows from here ...
const SHORTEST_PAUSE: Duration = Duration::from_millis(50);
/// ... up to here.
pub(super) const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// How long one call may take.
const ANSWER: Duration = Duration::from_secs(30);

/// Joins as a new incarnation, and waits for the store as long as that takes.
pub(super) async fn join(
    config: &Config,
    members: &dyn Members,
    clock: &dyn Clock,
) -> Result<Incarnation, StartError> {
    let incarnation = Incarnation::new(Uuid::new_v4());
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
        };
        match answered(members.join(me, limit, clock.now())).await {
            Ok(Joined::Yes) => {
                info!(engine.id = %incarnation, engine.name = config.name, "joined the cluster");
                return Ok(incarnation);
            }
            Ok(Joined::Full { limit }) => return Err(StartError::ClusterFull { limit }),
            Err(error) if error.is_transient() => {
                if pause.is_first() {
                    warn!(engine.name = config.name, %error, "joining fails; it is tried again");
                }
                pause.wait().await;
            }
            Err(error) => return Err(StartError::Store(error)),
        }
    }
}

/// Makes the ended incarnation `old` known to be so. It convicts itself, which nobody else may do
/// without waiting: only the engine knows that everything it ran has stopped.
pub(super) async fn bury(old: Incarnation, members: &dyn Members, clock: &dyn Clock) {
    let mut pause = Pause::default();
    loop {
        match answered(try_to_bury(old, members, clock)).await {
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
        pause.wait().await;
    }
}

/// `false` if a heartbeat that was still on its way came in between.
async fn try_to_bury(
    old: Incarnation,
    members: &dyn Members,
    clock: &dyn Clock,
) -> Result<bool, Error> {
    let all = members.members().await?;
    let row = all.into_iter().find(|member| member.incarnation == old);
    let Some(row) = row.filter(|row| row.state != MemberState::Dead) else {
        return Ok(true);
    };
    if row.running == 0 {
        members.leave(old).await?;
        return Ok(true);
    }
    let evidence = "it stepped down and stopped everything itself";
    members
        .convict(old, row.heartbeat_seq, old, evidence, clock.now())
        .await
}

async fn answered<T>(call: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    let answer = timeout(ANSWER, call).await;
    answer.unwrap_or_else(|_| Err(Error::Unavailable("no answer in time".to_owned())))
}

/// Pauses that double from one try to the next.
#[derive(Default)]
struct Pause(Option<Duration>);

impl Pause {
    fn is_first(&self) -> bool {
        self.0.is_none()
    }

    async fn wait(&mut self) {
        let next = self.0.map_or(SHORTEST_PAUSE, |last| last * 2);
        let next = next.min(LONGEST_PAUSE);
        self.0 = Some(next);
        sleep(next).await;
    }
}
