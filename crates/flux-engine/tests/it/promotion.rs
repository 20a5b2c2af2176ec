//! A replica that has lost the claim of a branch answers in the place of the store.

use crate::harness::{House, PATIENCE, workflow};
use async_trait::async_trait;
use flux_core::clock::Timestamp;
use flux_core::ids::{BranchId, Incarnation};
use flux_core::ports::Error;
use flux_core::ports::branches::{
    Branches, ClaimRequest, Claims, Commit, Committed, Fence, Outlook, Release,
};
use flux_core::ports::members::{Joined, Member, Members, NewMember, Takeover};
use flux_core::ports::runs::Runs;
use flux_store::{SqliteStore, Store};
use flux_testkit::{wait_until, wait_until_async};
use std::sync::Arc;
use tokio::sync::watch;

/// The connections of one engine, which all lead to the replica once it is promoted; from then on it
/// says of no branch that the engine owns it, as soon as it says anything.
struct Connections {
    store: Arc<SqliteStore>,
    members: Arc<dyn Members>,
    promoted: watch::Receiver<bool>,
    answers: watch::Receiver<bool>,
}

#[async_trait]
impl Branches for Connections {
    async fn outlook(&self, pool: Option<String>, now: Timestamp) -> Result<Outlook, Error> {
        self.store.outlook(pool, now).await
    }

    async fn claim(&self, request: ClaimRequest) -> Result<Claims, Error> {
        self.store.claim(request).await
    }

    async fn commit(&self, commit: Commit) -> Result<Committed, Error> {
        self.store.commit(commit).await
    }

    async fn release(&self, release: Release) -> Result<bool, Error> {
        self.store.release(release).await
    }

    async fn owned(&self, owner: Incarnation) -> Result<Vec<(BranchId, Fence)>, Error> {
        if !*self.promoted.borrow() {
            return self.store.owned(owner).await;
        }
        let mut answers = self.answers.clone();
        answers.wait_for(|answers| *answers).await.unwrap();
        Ok(Vec::new())
    }
}

#[async_trait]
impl Members for Connections {
    fn openings(&self) -> u64 {
        u64::from(*self.promoted.borrow())
    }

    async fn join(&self, m: NewMember, limit: u32, now: Timestamp) -> Result<Joined, Error> {
        self.members.join(m, limit, now).await
    }

    async fn heartbeat(&self, me: Incarnation, now: Timestamp) -> Result<bool, Error> {
        self.members.heartbeat(me, now).await
    }

    async fn members(&self) -> Result<Vec<Member>, Error> {
        self.members.members().await
    }

    async fn convict(
        &self,
        who: Incarnation,
        seen_seq: u64,
        by: Incarnation,
        evidence: &str,
        now: Timestamp,
    ) -> Result<bool, Error> {
        self.members.convict(who, seen_seq, by, evidence, now).await
    }

    async fn take_over(
        &self,
        dead: Incarnation,
        by: Incarnation,
        limit: u32,
        poison_limit: u32,
        now: Timestamp,
    ) -> Result<Vec<Takeover>, Error> {
        let freed = self.members.take_over(dead, by, limit, poison_limit, now);
        freed.await
    }

    async fn set_draining(&self, me: Incarnation) -> Result<(), Error> {
        self.members.set_draining(me).await
    }

    async fn leave(&self, me: Incarnation) -> Result<(), Error> {
        self.members.leave(me).await
    }
}

/// Another engine may have claimed the branch meanwhile: two of its actions would overlap.
#[tokio::test(flavor = "multi_thread")]
async fn no_action_starts_before_the_new_primary_says_whose_the_branch_is() {
    let house = House::new();
    let [began, go, second] = ["began", "go", "second"].map(|name| house.path(name));
    let body = format!(
        "do:\n  - first: {{ run: {{ shell: {{ command: 'touch {}; until test -e {}; do sleep 0.05; done' }} }} }}\n  \
         - second: {{ run: {{ shell: {{ command: 'touch {}' }} }} }}\n",
        began.display(),
        go.display(),
        second.display()
    );
    let run = house.submit(&workflow("promotion", &body), "null").await;
    let (promote, promoted) = watch::channel(false);
    let (answer, answers) = watch::channel(false);
    let connections = Arc::new(Connections {
        store: Arc::clone(&house.store),
        members: house.store.members(),
        promoted,
        answers,
    });
    let mut stores = house.stores();
    let members = Arc::clone(&connections);
    stores.members = Arc::new(move || -> Arc<dyn Members> { members.clone() });
    stores.branches = connections;
    let engine = house.engine_on(house.config("former"), stores).await;
    wait_until("the first action has begun", PATIENCE, || began.exists());
    promote.send(true).unwrap();
    std::fs::write(go, "").unwrap();
    wait_until_async("the first action is committed", PATIENCE, async || {
        !house.store.history(run).await.unwrap().is_empty()
    })
    .await;
    answer.send(true).unwrap();
    engine.drain().await;
    assert!(!second.exists(), "it acts on what another engine may have");
}
