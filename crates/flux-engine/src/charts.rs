//! Compiled charts by content hash: compiled once per engine, kept while memory allows.

use flux_core::chart::{Chart, ChartId, Compiler, WorkflowName};
use flux_core::ports::Error;
use flux_core::ports::definitions::Definitions;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Charts kept; beyond it the cache starts anew.
const KEPT: usize = 1_000;

/// The charts that were needed so far.
pub struct Charts {
    definitions: Arc<dyn Definitions>,
    compiler: Arc<dyn Compiler>,
    kept: Mutex<HashMap<ChartId, Arc<Chart>>>,
}

/// Why there is no chart.
#[derive(Debug, thiserror::Error)]
pub enum Missing {
    /// Try again.
    #[error(transparent)]
    Store(#[from] Error),
    /// Nobody deployed it.
    #[error("the definition {0} is not stored; deploy it with `flux workflow deploy FILE`")]
    Unknown(String),
    /// Stored by an engine that knows more of the language.
    #[error("the stored definition {0} does not compile here: {1}")]
    Refused(ChartId, String),
}

impl Charts {
    /// None yet.
    #[must_use]
    pub fn new(definitions: Arc<dyn Definitions>, compiler: Arc<dyn Compiler>) -> Charts {
        Charts {
            definitions,
            compiler,
            kept: Mutex::default(),
        }
    }

    /// The chart with this id.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn get(&self, id: &ChartId) -> Result<Arc<Chart>, Missing> {
        let kept = self.lock().get(id).cloned();
        if let Some(chart) = kept {
            return Ok(chart);
        }
        let source = self.definitions.source(id).await?;
        let source = source.ok_or_else(|| Missing::Unknown(id.to_string()))?;
        let chart = self
            .compiler
            .compile(&source)
            .map_err(|report| Missing::Refused(id.clone(), report))?;
        let mut kept = self.lock();
        if kept.len() >= KEPT {
            kept.clear();
        }
        kept.insert(id.clone(), Arc::clone(&chart));
        Ok(chart)
    }

    /// The chart of this name that was deployed last.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn find(&self, name: &WorkflowName) -> Result<Arc<Chart>, Missing> {
        match self.definitions.find(name).await? {
            Some(id) => self.get(&id).await,
            None => Err(Missing::Unknown(name.to_string())),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<ChartId, Arc<Chart>>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
