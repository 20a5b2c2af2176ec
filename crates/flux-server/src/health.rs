//! Health: whether the process lives, and whether it is wise to send it something.

use crate::local::Local;
use flux_core::host::{Host, within};
use flux_core::ports::identity::Identity;
use flux_core::ports::members::{Member, MemberState, Members};
use flux_proto::v1::flux_service_server::SERVICE_NAME;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

/// The service that tells whether the process lives; whatever the store does.
pub const LIVENESS: &str = "liveness";
/// The service that tells whether the engine takes requests: not while it drains, nor while its
/// store does not answer.
pub const READINESS: &str = "readiness";

/// How often the store is asked.
const EVERY: Duration = Duration::from_secs(5);
/// How long it may take to answer.
const PATIENCE: Duration = Duration::from_secs(3);

/// Keeps the answers of the health service true.
pub(crate) struct Health {
    pub reporter: HealthReporter,
    pub identity: Arc<dyn Identity>,
    pub members: Arc<dyn Members>,
    pub local: Arc<dyn Local>,
    pub host: Arc<dyn Host>,
    /// Whether the engine drains, as it says itself.
    pub drains: watch::Receiver<bool>,
}

impl Health {
    /// Says that nothing is known yet, but that the process lives.
    pub async fn begin(&self) {
        let live = ServingStatus::Serving;
        self.reporter.set_service_status(LIVENESS, live).await;
        self.set_ready(false).await;
    }

    /// Asks for ever; to be dropped.
    pub async fn keep(mut self) {
        loop {
            let drains = *self.drains.borrow_and_update();
            let ready = !drains && self.is_served().await;
            self.set_ready(ready).await;
            tokio::select! {
                biased;
                changed = self.drains.changed() => if changed.is_err() { return },
                () = self.host.sleep(EVERY) => {}
            }
        }
    }

    /// Whether the store answers, and does not say that the engine drains: another one may have been
    /// asked to make it.
    async fn is_served(&self) -> bool {
        let asked = async {
            self.identity.cluster().await?;
            self.members.members().await
        };
        let Some(Ok(members)) = within(&*self.host, PATIENCE, asked).await else {
            return false;
        };
        let me = self.local.incarnation();
        let leaves = |member: &Member| member.state != MemberState::Alive;
        !members
            .iter()
            .any(|member| member.incarnation == me && leaves(member))
    }

    async fn set_ready(&self, ready: bool) {
        let status = match ready {
            true => ServingStatus::Serving,
            false => ServingStatus::NotServing,
        };
        for service in ["", SERVICE_NAME, READINESS] {
            self.reporter.set_service_status(service, status).await;
        }
    }
}
