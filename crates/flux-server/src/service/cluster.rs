//! Engines.

use super::Api;
use crate::check::Check;
use crate::convert;
use crate::refusal::{not_found, of_store, refusal};
use flux_core::ids::Incarnation;
use flux_core::ports::members::MemberState;
use flux_core::throttle::{Limits, Throttle};
use flux_proto::v1::{
    DrainEngineRequest, DrainEngineResponse, Engine, ListFailoversRequest, ListFailoversResponse,
    ListTakeoversRequest, ListTakeoversResponse, ListThrottlesResponse, SetThrottleRequest,
    SetThrottleResponse,
};
use tonic::{Code, Status};

impl Api {
    /// All engines, the oldest first.
    pub(super) async fn engines(&self) -> Result<Vec<Engine>, Status> {
        let mut members = self.ports.members.members().await.map_err(of_store)?;
        members.sort_by_key(|member| (member.started_at, member.incarnation));
        let engines = members.into_iter().map(|member| {
            let load = self.local.load_of(member.incarnation);
            convert::engine(member, load)
        });
        Ok(engines.collect())
    }

    pub(super) async fn drain(
        &self,
        request: DrainEngineRequest,
    ) -> Result<DrainEngineResponse, Status> {
        let mut check = Check::default();
        let engine = check.engine("name", &request.name);
        check.done()?;
        match engine {
            Some(engine) if engine != self.local.incarnation() => {
                self.drain_other(engine, &request.name).await?;
            }
            _ => {
                self.handle().draining();
                self.local.drain();
            }
        }
        Ok(DrainEngineResponse {})
    }

    /// Another engine reads in the store that it is to drain.
    async fn drain_other(&self, engine: Incarnation, name: &str) -> Result<(), Status> {
        let members = self.ports.members.members().await.map_err(of_store)?;
        let found = members.iter().find(|member| member.incarnation == engine);
        match found.map(|member| member.state) {
            None => Err(not_found("engine", name)),
            Some(MemberState::Dead) => {
                let about = [("resource", name), ("state", "dead")];
                let text = format!("{name} was declared dead");
                Err(refusal(
                    Code::FailedPrecondition,
                    "WRONG_STATE",
                    &about,
                    &text,
                ))
            }
            Some(MemberState::Alive | MemberState::Draining) => {
                let marked = self.ports.members.set_draining(engine).await;
                marked.map_err(of_store)
            }
        }
    }

    pub(super) async fn set_limits(
        &self,
        request: SetThrottleRequest,
    ) -> Result<SetThrottleResponse, Status> {
        let mut check = Check::default();
        let scope = check.throttle("name", &request.name);
        check.done()?;
        let throttle = Throttle {
            scope,
            limits: Limits {
                cluster: request.cluster_limit,
                engine: request.engine_limit,
            },
        };
        let set = self.ports.throttles.throttle(throttle).await;
        set.map_err(of_store)?;
        // What waited for a slot may start.
        self.local.nudge(1);
        Ok(SetThrottleResponse {})
    }

    pub(super) async fn throttles(&self) -> Result<ListThrottlesResponse, Status> {
        let throttles = self.ports.throttles.throttles().await.map_err(of_store)?;
        Ok(ListThrottlesResponse {
            throttles: throttles.into_iter().map(convert::throttle).collect(),
        })
    }

    pub(super) async fn takeovers(
        &self,
        request: ListTakeoversRequest,
    ) -> Result<ListTakeoversResponse, Status> {
        let mut check = Check::default();
        let engine = check.engine("parent", &request.parent);
        let length = check.page_size(request.page_size, 50);
        check.done()?;
        let engine = engine.unwrap_or_else(|| self.local.incarnation());
        let takeovers = self.ports.runs.takeovers(engine, length).await;
        let takeovers = takeovers.map_err(of_store)?.into_iter();
        Ok(ListTakeoversResponse {
            takeovers: takeovers.map(convert::takeover).collect(),
        })
    }

    pub(super) async fn failovers(
        &self,
        request: ListFailoversRequest,
    ) -> Result<ListFailoversResponse, Status> {
        let mut check = Check::default();
        let length = check.page_size(request.page_size, 50);
        check.done()?;
        let failovers = self.ports.runs.failovers(length).await.map_err(of_store)?;
        Ok(ListFailoversResponse {
            failovers: failovers.into_iter().map(convert::failover).collect(),
        })
    }
}
