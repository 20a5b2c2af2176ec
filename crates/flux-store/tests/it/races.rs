//! Engines that race on one database do not get into each other's way.

use std::sync::Arc;

use flux_store::{Options, PostgresOptions, PostgresStore, SqliteStore, Store};
use flux_testkit::races::Opening;
use flux_testkit::store_suite::Ports;

/// Engines.
const OPENINGS: usize = 4;

mod sqlite {
    use super::*;

    async fn openings() -> Vec<Opening> {
        let folder = Arc::new(tempfile::tempdir().expect("a temporary folder"));
        let open = |_| {
            let opened = SqliteStore::open(&folder.path().join("flux.db"), Options::default());
            let store = Arc::new(opened.expect("it opens"));
            let members = store.members();
            let ports = Ports::new(store.clone(), members, Arc::clone(&folder));
            Opening::new(ports, store)
        };
        (0..OPENINGS).map(open).collect()
    }

    flux_testkit::race_suite!(openings);
}

mod postgres {
    use super::*;

    async fn openings() -> Vec<Opening> {
        let address = crate::support::address();
        let mut openings = Vec::new();
        for _ in 0..OPENINGS {
            let opened = PostgresStore::open(&address, &PostgresOptions::default()).await;
            let store = Arc::new(opened.expect("it opens"));
            let members = store.members();
            let ports = Ports::new(store.clone(), members, ());
            openings.push(Opening::new(ports, store));
        }
        openings
    }

    flux_testkit::race_suite!(openings);
}
