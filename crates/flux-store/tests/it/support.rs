//! A fresh store on PostgreSQL: a schema of its own in a server that many tests use.

use std::sync::Arc;

use flux_store::{Address, PostgresOptions, PostgresStore, Store};
use flux_testkit::postgres::Server;
use flux_testkit::store_suite::Ports;

pub fn address() -> Address {
    let url = Server::shared().url();
    let schema = format!("t{}", uuid::Uuid::now_v7().simple());
    let address: Address = url.parse().expect("the address is right");
    address.with_schema(&schema).expect("the name is right")
}

pub async fn on_postgres() -> Ports {
    let opened = PostgresStore::open(&address(), &PostgresOptions::default()).await;
    let store = opened.expect("a new schema can be made");
    let members = store.members();
    Ports::new(Arc::new(store), members, ())
}
