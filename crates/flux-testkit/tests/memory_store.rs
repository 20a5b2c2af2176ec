//! The store in memory keeps the promises of the ports.

use std::sync::Arc;

use flux_testkit::MemoryStore;
use flux_testkit::store_suite::Ports;

async fn fresh() -> Ports {
    let store = MemoryStore::default();
    Ports::new(Arc::new(store.clone()), Arc::new(store), ())
}

flux_testkit::store_suite!(fresh);
