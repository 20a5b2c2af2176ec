//! A file that another process has locked.

use diesel::connection::SimpleConnection;
use diesel::{Connection, SqliteConnection};
use flux_core::clock::Timestamp;
use flux_core::ids::RunId;
use flux_core::ports::operations::{Change, Operations};
use flux_store::{Options, SqliteStore, Store};
use futures_util::future::join_all;
use uuid::Uuid;

/// The lock keeps all of them out: trying each alone would make the last wait for all the others.
#[tokio::test]
async fn those_who_wait_for_the_same_lock_wait_together() {
    const REQUESTS: usize = 50;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("flux.db");
    let options = Options {
        busy_timeout: std::time::Duration::from_millis(10),
    };
    let store = SqliteStore::open(&path, options).expect("it opens");
    let mut other = SqliteConnection::establish(path.to_str().expect("it is text")).expect("too");
    other.batch_execute("BEGIN IMMEDIATE").expect("the lock");
    let cancel = |_| {
        store.change(
            RunId::new(Uuid::nil()),
            Change::Cancel,
            Timestamp::default(),
        )
    };
    let answers = join_all((0..REQUESTS).map(cancel)).await;
    for answer in answers {
        assert!(answer.is_err_and(|error| error.is_transient()));
    }
    let transactions = store.stats().ticks;
    assert!(transactions < REQUESTS as u64, "{transactions}");
}
