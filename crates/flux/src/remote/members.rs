//! The engines of the cluster, as one of them tells of all.

use super::*;

pub struct RemoteMembers(pub Client);

#[async_trait]
impl Members for RemoteMembers {
    async fn members(&self) -> Result<Vec<Member>, Error> {
        let answer = self.0.list_engines(v1::ListEnginesRequest {}).await;
        let engines = answer.map_err(failed)?.engines.into_iter();
        engines.map(read::member).collect()
    }

    async fn set_draining(&self, me: Incarnation) -> Result<(), Error> {
        let name = format!("engines/{me}");
        let answer = self.0.drain_engine(v1::DrainEngineRequest { name }).await;
        answer.map(drop).map_err(failed)
    }

    async fn join(&self, _m: NewMember, _limit: u32, _now: Timestamp) -> Result<Joined, Error> {
        only_in_the_database("joining")
    }

    async fn heartbeat(&self, _me: Incarnation, _now: Timestamp) -> Result<bool, Error> {
        only_in_the_database("beating")
    }

    async fn convict(
        &self,
        _who: Incarnation,
        _seen_seq: u64,
        _by: Incarnation,
        _evidence: &str,
        _now: Timestamp,
    ) -> Result<bool, Error> {
        only_in_the_database("judging")
    }

    async fn take_over(
        &self,
        _dead: Incarnation,
        _by: Incarnation,
        _limit: u32,
        _poison_limit: u32,
        _now: Timestamp,
    ) -> Result<Vec<Takeover>, Error> {
        only_in_the_database("taking over")
    }

    async fn leave(&self, _me: Incarnation) -> Result<(), Error> {
        only_in_the_database("leaving")
    }
}
