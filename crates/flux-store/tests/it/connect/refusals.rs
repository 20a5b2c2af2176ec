//! What a server or the network says no to, and whether it may pass.

use std::time::Duration;

use flux_store::postgres::connect::{ConnectError, Reason, Session, connect};
use flux_testkit::postgres::{Mode, Server, available};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::fixture::{address, open, refused, set_hba, url};

fn only(error: &ConnectError) -> Reason {
    let reasons: Vec<Reason> = error.reasons().collect();
    assert_eq!(reasons.len(), 1, "{error}");
    reasons[0]
}

#[tokio::test]
async fn what_is_wrong_with_the_user_or_the_database_is_final_and_told() {
    if !available() {
        return;
    }
    let server = Server::start();
    server
        .psql("create role anna login password 'right'; create role ben login connection limit 0");
    set_hba(
        &server,
        "host all anna 127.0.0.1/32 scram-sha-256\nhost all ben 127.0.0.1/32 trust\n",
    );
    open(&url(&server, "anna:right", "postgres")).await;
    for (user, rest, reason, says) in [
        (
            "anna:wr0ng",
            "postgres",
            Reason::Credentials,
            "password authentication failed",
        ),
        (
            "anna",
            "postgres?passfile=/nowhere",
            Reason::Credentials,
            "password missing",
        ),
        ("nobody", "postgres", Reason::NotLetIn, "pg_hba.conf"),
        (
            "postgres",
            "elsewhere",
            Reason::NoDatabase,
            "\"elsewhere\" does not exist",
        ),
    ] {
        let error = refused(&url(&server, user, rest)).await;
        let told = error.to_string();
        assert_eq!(only(&error), reason, "{told}");
        assert!(!error.is_transient(), "{told}");
        assert!(
            told.contains(says) && told.contains("hint: check the"),
            "{told}"
        );
        assert!(!told.contains("wr0ng"), "{told}");
    }
    let full = refused(&url(&server, "ben", "postgres")).await;
    assert_eq!(only(&full), Reason::TooManyConnections, "{full}");
    assert!(full.is_transient());
}

#[tokio::test]
async fn a_server_that_is_away_frozen_or_unknown_may_come_back() {
    if !available() {
        return;
    }
    let server = Server::start();
    let url = url(&server, "postgres", "postgres");
    server.freeze();
    let session = Session {
        deadline: Duration::from_millis(300),
        ..Session::default()
    };
    let Err(silent) = connect(&address(&url), &session, |_| Ok(())).await else {
        panic!("a frozen server cannot answer");
    };
    assert_eq!(only(&silent), Reason::Silent, "{silent}");
    assert!(
        silent.to_string().contains("no answer within 0.3 s"),
        "{silent}"
    );
    assert!(silent.is_transient());
    server.thaw();

    server.stop(Mode::Fast);
    let away = refused(&url).await;
    assert_eq!(only(&away), Reason::Unreachable, "{away}");
    assert!(away.is_transient());
    assert!(away.to_string().contains("refused"), "{away}");

    let unknown = refused("postgres://postgres@no-such-host.invalid/postgres").await;
    assert_eq!(only(&unknown), Reason::Unreachable, "{unknown}");
    assert!(
        unknown.to_string().contains("no-such-host.invalid:5432"),
        "{unknown}"
    );
}

/// Lets everybody in and then never answers, like a server that was frozen at a bad moment. Returns
/// when the client has hung up.
async fn let_in_and_keep_silent(listener: tokio::net::TcpListener) {
    let (mut socket, _) = listener.accept().await.expect("a client");
    let mut length = [0; 4];
    socket.read_exact(&mut length).await.expect("a greeting");
    let rest = u32::from_be_bytes(length) as usize - length.len();
    socket
        .read_exact(&mut vec![0; rest])
        .await
        .expect("a greeting");
    // AuthenticationOk, ReadyForQuery.
    let welcome = b"R\0\0\0\x08\0\0\0\0Z\0\0\0\x05I";
    socket.write_all(welcome).await.expect("a welcome");
    socket.read_to_end(&mut Vec::new()).await.expect("an end");
}

#[tokio::test]
async fn a_try_that_was_given_up_leaves_no_connection_behind() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port");
    let port = listener.local_addr().expect("a port").port();
    let server = tokio::spawn(let_in_and_keep_silent(listener));
    let url = format!("postgres://u@127.0.0.1:{port}/d?sslmode=disable");
    let session = Session {
        deadline: Duration::from_millis(200),
        ..Session::default()
    };
    let given_up = connect(&address(&url), &session, |_| Ok(())).await;
    assert!(given_up.is_err_and(|error| error.reasons().eq([Reason::Silent])));
    let seen = tokio::time::timeout(Duration::from_secs(20), server).await;
    seen.expect("the server sees the end").expect("it does");
}
