//! Rows that another session has locked.

use std::sync::Arc;

use flux_core::clock::Timestamp;
use flux_core::ids::RunId;
use flux_core::ports::operations::{Change, Operated, Operations};
use flux_store::{PostgresOptions, PostgresStore, Store};
use flux_testkit::postgres::Server;
use flux_testkit::{PATIENCE, wait_until_async};
use tokio_postgres::NoTls;
use uuid::Uuid;

use crate::support::address;

const RUNS: &str = "\
    INSERT INTO run (id, started_at, state, attached, priority, chart, namespace, name, version, \
        pool, input) \
    SELECT ('00000000-0000-0000-0000-00000000000' || n)::uuid, n, 0, 0, 0, 'c', 'd', 'w', '1', '', \
        '{}' \
    FROM generate_series(1, 3) AS n";

/// One run is locked for long: what is asked of it waits, and nobody else does.
#[tokio::test]
async fn who_waits_for_a_locked_run_delays_nobody_else() {
    let address = address();
    let store = PostgresStore::open(&address, &PostgresOptions::default()).await;
    let store = Arc::new(store.expect("it opens"));
    let connected = tokio_postgres::connect(Server::shared().url(), NoTls).await;
    let (other, driver) = connected.expect("it connects");
    tokio::spawn(driver);
    let schema = address.schema();
    let say = async |text: &str| {
        other
            .batch_execute(text)
            .await
            .expect("the statement is right")
    };
    say(&format!("SET search_path = \"{schema}\"; {RUNS}")).await;
    say("BEGIN; SELECT 1 FROM run WHERE id::text LIKE '%1' FOR UPDATE").await;

    let cancel = |number| {
        let store = store.clone();
        let run = RunId::new(Uuid::from_u128(number));
        tokio::spawn(async move {
            store
                .change(run, Change::Cancel, Timestamp::default())
                .await
        })
    };
    let locked = cancel(1);
    wait_until_async("it was tried", PATIENCE, async || store.stats().ticks > 0).await;
    for number in [2, 3] {
        let answer = cancel(number).await.expect("no panic");
        assert_eq!(answer, Ok(Operated::Done), "{number}");
    }
    assert!(!locked.is_finished(), "it waits for the other session");
    say("COMMIT").await;
    assert_eq!(locked.await.expect("no panic"), Ok(Operated::Done));
}
