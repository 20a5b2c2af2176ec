//! Following the engines of the cluster.

use super::Api;
use super::watching::{Stream, Watched};
use flux_proto::v1::{Engine, WatchClusterResponse};
use std::time::Duration;
use tonic::Status;

/// How often the store is asked.
const EVERY: Duration = Duration::from_secs(1);

struct Cluster {
    api: Api,
    told: Option<Vec<Engine>>,
}

impl Api {
    pub(super) async fn follow_cluster(&self) -> Result<Stream<WatchClusterResponse>, Status> {
        let api = self.clone();
        self.watch(Cluster { api, told: None })
    }
}

impl Watched for Cluster {
    type News = WatchClusterResponse;

    async fn news(&mut self) -> Result<Option<WatchClusterResponse>, Status> {
        loop {
            if self.told.is_some() {
                self.api.ports.host.sleep(EVERY).await;
            }
            let engines = self.api.engines().await?;
            let lasting = engines.iter().map(lasting).collect();
            if self.told.as_ref() != Some(&lasting) {
                self.told = Some(lasting);
                return Ok(Some(WatchClusterResponse { engines }));
            }
        }
    }
}

/// An engine without what changes while nothing happens.
fn lasting(engine: &Engine) -> Engine {
    let mut engine = engine.clone();
    engine.heartbeat_age = None;
    engine.clock_offset = None;
    if let Some(load) = &mut engine.load {
        load.age = None;
    }
    engine
}
