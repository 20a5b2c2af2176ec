//! What all engines of a cluster share.

use super::Error;
use async_trait::async_trait;
use std::fmt;
use uuid::Uuid;

/// The cluster of a set of tables.
#[derive(Clone, PartialEq, Eq)]
pub struct Cluster {
    /// Random, made with the tables.
    pub id: Uuid,
    /// Secret, made with the tables: who knows it can read them, and so is an engine or could be one.
    pub key: String,
}

impl fmt::Debug for Cluster {
    /// Without the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cluster")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// Says which cluster it is.
#[async_trait]
pub trait Identity: Send + Sync {
    /// The cluster of the store's tables.
    async fn cluster(&self) -> Result<Cluster, Error>;
}
