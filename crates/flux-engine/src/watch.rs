//! The pass that notices branches which are not ours any more: cancelled, or taken over.

use crate::worker::Shop;
use flux_core::ids::Incarnation;
use flux_core::ports::Error;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

pub(crate) struct Watch {
    pub shop: Arc<Shop>,
    pub me: Incarnation,
    pub end: CancellationToken,
}

impl Watch {
    /// How late a cancelled branch of another engine's decision is noticed; its commits are fenced
    /// in any case.
    const EVERY: Duration = Duration::from_secs(1);

    pub async fn run(self) {
        loop {
            tokio::select! {
                biased;
                () = self.end.cancelled() => return,
                () = self.shop.host.sleep(Self::EVERY) => {}
            }
            if let Err(error) = self.pass().await {
                tracing::debug!("cannot look at the owned branches: {error}");
            }
        }
    }

    async fn pass(&self) -> Result<(), Error> {
        let before = self.shop.running.list();
        if before.is_empty() {
            return Ok(());
        }
        let owned: HashSet<_> = self
            .shop
            .branches
            .owned(self.me)
            .await?
            .into_iter()
            .collect();
        // Only those that were running before the question: a later claim is not in the answer.
        let gone = before.into_iter().filter(|entry| !owned.contains(entry));
        let gone: Vec<_> = gone.map(|(branch, _)| branch).collect();
        self.shop.running.cancelled(&gone);
        Ok(())
    }
}
