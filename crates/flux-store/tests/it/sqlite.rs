//! The store on SQLite keeps the promises of the ports.

use std::sync::Arc;

use flux_store::{Options, SqliteStore, Store};
use flux_testkit::store_suite::Ports;

async fn fresh() -> Ports {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let opened = SqliteStore::open(&folder.path().join("flux.db"), Options::default());
    let store = opened.expect("a new file can be opened");
    let members = store.members();
    Ports::new(Arc::new(store), members, folder)
}

flux_testkit::store_suite!(fresh);
