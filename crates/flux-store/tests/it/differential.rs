//! Random operations on each store and on the one in memory give the same answers.

use std::path::PathBuf;
use std::sync::Arc;

use flux_store::{Options, SqliteStore, Store};
use flux_testkit::MemoryStore;
use flux_testkit::store_suite::Ports;

fn in_memory() -> Ports {
    let store = MemoryStore::default();
    Ports::new(Arc::new(store.clone()), Arc::new(store), ())
}

/// A copy of an empty file: much faster than making one.
fn on_sqlite(empty: &PathBuf) -> Ports {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("flux.db");
    std::fs::copy(empty, &path).expect("the empty file can be copied");
    let store = SqliteStore::open(&path, Options::default()).expect("it can be opened");
    let members = store.members();
    Ports::new(Arc::new(store), members, folder)
}

#[test]
fn sqlite_does_what_the_model_does() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let empty = folder.path().join("empty.db");
    // Closing the last connection moves everything into the file itself.
    let opened = SqliteStore::open(&empty, Options::default());
    drop(opened.expect("a new file can be opened"));
    flux_testkit::differential::check(file!(), 200, async || vec![in_memory(), on_sqlite(&empty)]);
}

#[test]
fn postgres_does_what_the_model_does() {
    flux_testkit::differential::check(file!(), 16, async || {
        vec![in_memory(), crate::support::on_postgres().await]
    });
}
