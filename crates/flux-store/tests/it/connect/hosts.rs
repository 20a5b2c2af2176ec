//! Several hosts: the one that is wanted is found, and the others' reasons are told.

use flux_store::postgres::connect::Reason;
use flux_store::postgres::identity::Judgement;
use flux_testkit::postgres::{Mode, Replication, Server, available};

use super::fixture::{ask, open, refused};

/// A URL with all these ports.
fn url(ports: &[u16], parameters: &str) -> String {
    let hosts: Vec<String> = ports
        .iter()
        .map(|port| format!("127.0.0.1:{port}"))
        .collect();
    format!(
        "postgres://postgres@{}/postgres?{parameters}",
        hosts.join(",")
    )
}

async fn port_of(url: &str) -> String {
    ask(&mut open(url).await.conn, "current_setting('port')").await
}

#[tokio::test]
async fn the_host_that_takes_writes_is_found_and_a_replaced_primary_is_known() {
    if !available() {
        return;
    }
    let primary = Server::start();
    let standby = primary.standby(Replication::Asynchronous);
    let dead = Server::start();
    dead.stop(Mode::Kill);
    let ports = [dead.port(), standby.port(), primary.port()];

    assert_eq!(port_of(&url(&ports, "")).await, primary.port().to_string());
    for _ in 0..3 {
        let random = url(&ports, "load_balance_hosts=random");
        assert_eq!(port_of(&random).await, primary.port().to_string());
    }
    for wanted in ["standby", "read-only", "any"] {
        let wanted = url(&ports, &format!("target_session_attrs={wanted}"));
        assert_eq!(port_of(&wanted).await, standby.port().to_string());
    }
    let following = open(&url(&ports, "target_session_attrs=standby")).await;
    assert!(following.in_recovery);

    let none = refused(&url(&ports[..2], "")).await;
    let reasons: Vec<Reason> = none.reasons().collect();
    assert_eq!(reasons, [Reason::Unreachable, Reason::NotWanted], "{none}");
    assert!(none.is_transient());
    assert!(
        none.to_string()
            .contains("it is a standby and takes no writes"),
        "{none}"
    );

    let before = open(&url(&ports, "")).await;
    assert!(!before.in_recovery);
    assert_eq!(following.identity.judge(before.identity), Judgement::Same);
    standby.promote();
    let promoted = open(&url(&[standby.port()], "")).await;
    let old = open(&url(&[primary.port()], "")).await;
    assert_eq!(old.identity, before.identity);
    assert_eq!(promoted.identity.judge(before.identity), Judgement::Newer);
    assert_eq!(promoted.identity.timeline, 2);
    assert_eq!(old.identity.judge(promoted.identity), Judgement::Stale);
}

#[tokio::test]
async fn a_database_that_is_closed_for_writes_is_not_taken() {
    if !available() {
        return;
    }
    let server = Server::start();
    let writing = url(&[server.port()], "");
    server.configure("default_transaction_read_only", "on");
    let closed = refused(&writing).await;
    assert!(closed.is_transient());
    assert!(
        closed.to_string().contains("default_transaction_read_only"),
        "{closed}"
    );
    server.configure("default_transaction_read_only", "off");
    open(&writing).await;
}
