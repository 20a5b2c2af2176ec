//! The store on PostgreSQL keeps the promises of the ports.

use std::sync::Arc;

use flux_store::PostgresStore;
use flux_testkit::store_suite::Ports;

async fn fresh() -> Ports {
    let url = std::env::var("FLUX_TEST_POSTGRES").expect("set");
    let schema = format!("t{}", uuid::Uuid::now_v7().simple());
    let opened = PostgresStore::open(&url, &schema).await;
    let store = opened.expect("a new schema can be made");
    let members = store.members();
    Ports::new(Arc::new(store), members, ())
}

flux_testkit::store_suite!(fresh);
