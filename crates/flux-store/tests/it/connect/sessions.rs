//! What a connection is like, for a role that may do nothing but log in.

use std::sync::atomic::Ordering;

use diesel_async::SimpleAsyncConnection as _;
use flux_store::postgres::connect::Session;
use flux_testkit::postgres::{Server, available};

use super::fixture::{ask, eventually, open, set_hba, url};

#[tokio::test]
async fn a_role_without_privileges_gets_all_that_we_promise() {
    if !available() {
        return;
    }
    let server = Server::start();
    server.psql("create role plain login");
    set_hba(&server, "host all plain 127.0.0.1/32 trust\n");
    let url = url(
        &server,
        "plain",
        "postgres?keepalives_idle=7&application_name=who",
    );
    let mut connected = open(&url).await;

    let control = server.psql("select system_identifier from pg_control_system()");
    assert_eq!(connected.identity.system.to_string(), control[0]);
    assert_eq!(connected.identity.timeline, 1);
    assert!(connected.server_version >= 140_000);
    assert!(!connected.in_recovery);
    // The fixture's server does not wait for the disk.
    let warned = connected.warnings.join("; ");
    assert!(warned.contains("fsync is off"), "{warned}");
    assert!(warned.contains("full_page_writes is off"), "{warned}");

    for (setting, value) in [
        ("client_connection_check_interval", "5s"),
        ("tcp_keepalives_idle", "7"),
        ("tcp_keepalives_interval", "5"),
        ("tcp_keepalives_count", "3"),
        ("tcp_user_timeout", "30000"),
        ("application_name", "who"),
        ("TimeZone", "UTC"),
    ] {
        let found = ask(
            &mut connected.conn,
            &format!("current_setting('{setting}')"),
        )
        .await;
        assert_eq!(found, value, "{setting}");
    }
}

#[tokio::test]
async fn every_transaction_begins_with_its_own_settings_and_leaves_none_behind() {
    if !available() {
        return;
    }
    let server = Server::start();
    server.psql("create role weak login; alter role weak set synchronous_commit = off");
    server
        .psql("create role strong login; alter role strong set synchronous_commit = remote_apply");
    set_hba(&server, "host all weak,strong 127.0.0.1/32 trust\n");
    let session = Session::default();
    for (role, within, warns) in [("weak", "on", true), ("strong", "remote_apply", false)] {
        let mut connected = open(&url(&server, role, "postgres")).await;
        let warned = connected
            .warnings
            .join("; ")
            .contains("synchronous_commit is off");
        assert_eq!(warned, warns, "{role}");
        let conn = &mut connected.conn;
        let expected = [
            ("search_path", "blue, pg_temp"),
            ("lock_timeout", "2s"),
            ("statement_timeout", "10s"),
            ("idle_in_transaction_session_timeout", "10s"),
            ("transaction_isolation", "read committed"),
            ("synchronous_commit", within),
        ];
        let prologue = session.transaction_prologue("blue");
        conn.batch_execute(&prologue).await.expect("a transaction");
        for (setting, value) in expected {
            let found = ask(conn, &format!("current_setting('{setting}')")).await;
            assert_eq!(found.replace('"', ""), value, "{role}: {setting}");
        }
        conn.batch_execute("COMMIT").await.expect("a commit");
        assert_eq!(ask(conn, "current_setting('lock_timeout')").await, "0");
    }
}

#[tokio::test]
async fn a_commit_that_no_standby_confirmed_is_marked() {
    if !available() {
        return;
    }
    let server = Server::start();
    server.psql("create table t (n int)");
    let mut connected = open(&url(&server, "postgres", "postgres")).await;
    server.configure("synchronous_standby_names", "nobody");
    let work = async {
        let conn = &mut connected.conn;
        conn.batch_execute("BEGIN; INSERT INTO t VALUES (1)")
            .await?;
        conn.batch_execute("COMMIT").await
    };
    let waiting =
        "select pg_cancel_backend(pid) from pg_stat_activity where wait_event = 'SyncRep'";
    let give_up = eventually(&server, waiting, "t");
    let (committed, ()) = tokio::join!(work, give_up);
    // The server calls it done: only the warning tells that it may be lost.
    committed.expect("a commit");
    assert!(
        connected
            .commit_not_replicated
            .swap(false, Ordering::SeqCst)
    );

    server.configure("synchronous_standby_names", "");
    let conn = &mut connected.conn;
    conn.batch_execute("BEGIN; INSERT INTO t VALUES (2)")
        .await
        .expect("an insert");
    conn.batch_execute("COMMIT").await.expect("a commit");
    assert!(!connected.commit_not_replicated.load(Ordering::SeqCst));
}

#[tokio::test]
async fn the_end_of_a_connection_is_seen_on_both_sides() {
    if !available() {
        return;
    }
    let server = Server::start();
    let here = url(&server, "postgres", "postgres?application_name=here");
    let count = "select count(*) from pg_stat_activity where application_name = 'here'";
    let connected = open(&here).await;
    connected.driver.abort();
    eventually(&server, count, "0").await;

    let dropped = open(&here).await;
    drop(dropped.conn);
    eventually(&server, count, "0").await;

    let mut killed = open(&here).await;
    assert_eq!(server.kill_backends("application_name = 'here'"), 1);
    assert!(killed.conn.batch_execute("SELECT 1").await.is_err());
}
