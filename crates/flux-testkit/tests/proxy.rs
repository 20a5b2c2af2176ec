//! The proxy between a real client and a real server.
#![expect(clippy::unwrap_used, reason = "a test")]

use flux_testkit::postgres::{Database, Endpoint, Server, available};
use flux_testkit::proxy::{Commits, Cut, Direction, Proxy};
use flux_testkit::wait_until_async;
use std::time::{Duration, Instant};
use tokio::time::timeout;
use tokio_postgres::{Client, NoTls};

const LONG: Duration = Duration::from_secs(30);
/// Long enough for an answer that is not held back.
const SILENCE: Duration = Duration::from_millis(300);

/// A database with an empty table, and a proxy in front of its server.
fn world() -> Option<(Database, Proxy)> {
    if !available() {
        return None;
    }
    let database = Server::shared().create_database();
    database.psql("create table t (n int unique deferrable initially deferred)");
    let proxy = Proxy::postgres(database.url());
    Some((database, proxy))
}

async fn try_connect(url: &str) -> Result<Client, tokio_postgres::Error> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

async fn connect(database: &Database, proxy: &Proxy) -> Client {
    try_connect(&proxy.url(database.url())).await.unwrap()
}

/// What is committed, however long the server takes to notice that its client is gone.
async fn wait_for_rows(database: &Database, expected: &[&str]) {
    wait_until_async(&format!("{expected:?} is there"), LONG, async || {
        database.psql("select n from t order by n") == expected
    })
    .await;
    wait_until_async("no transaction is open", LONG, async || {
        let open = "select count(*) from pg_locks where relation = 't'::regclass";
        database.psql(open) == ["0"]
    })
    .await;
    assert_eq!(database.psql("select n from t order by n"), expected);
}

/// How a client may say it.
#[derive(Clone, Copy, Debug)]
enum Protocol {
    Simple,
    Extended,
}

async fn insert_and_commit(
    client: &Client,
    n: i32,
    protocol: Protocol,
) -> Result<(), tokio_postgres::Error> {
    client.batch_execute("begin").await?;
    client.execute("insert into t values ($1)", &[&n]).await?;
    match protocol {
        Protocol::Simple => client.batch_execute("commit").await,
        Protocol::Extended => client.execute("COMMIT", &[]).await.map(drop),
    }
}

#[tokio::test]
async fn proxy_cuts_a_commit_before_the_server_gets_it_or_before_the_client_hears_of_it() {
    let Some((database, proxy)) = world() else {
        return;
    };
    let mut expected = Vec::new();
    let mut cuts = 0;
    for (n, protocol, cut) in [
        (1, Protocol::Simple, Cut::BeforeForwarding),
        (2, Protocol::Simple, Cut::BeforeAnswer),
        (3, Protocol::Extended, Cut::BeforeForwarding),
        (4, Protocol::Extended, Cut::BeforeAnswer),
    ] {
        let client = connect(&database, &proxy).await;
        proxy.commits(Commits::Nth(1, cut));
        let outcome = timeout(LONG, insert_and_commit(&client, n, protocol)).await;
        let error = outcome.unwrap().unwrap_err();
        assert!(error.is_closed() || error.code().is_none(), "{error:?}");
        cuts += 1;
        assert_eq!(proxy.counts().commits_cut, cuts, "{protocol:?} {cut:?}");
        let row = n.to_string();
        if cut == Cut::BeforeAnswer {
            expected.push(row);
        }
        let rows: Vec<&str> = expected.iter().map(String::as_str).collect();
        wait_for_rows(&database, &rows).await;
    }
}

#[tokio::test]
async fn proxy_cuts_right_behind_a_commit_and_the_server_commits() {
    let Some((database, proxy)) = world() else {
        return;
    };
    for (n, protocol) in [(1, Protocol::Simple), (2, Protocol::Extended)] {
        let client = connect(&database, &proxy).await;
        proxy.commits(Commits::Nth(1, Cut::AfterForwarding));
        insert_and_commit(&client, n, protocol).await.unwrap_err();
    }
    assert_eq!(proxy.counts().commits_cut, 2);
    wait_for_rows(&database, &["1", "2"]).await;
}

#[tokio::test]
async fn proxy_cuts_only_the_commit_that_it_was_told_to_cut() {
    let Some((database, proxy)) = world() else {
        return;
    };
    let client = connect(&database, &proxy).await;
    proxy.commits(Commits::Nth(3, Cut::BeforeForwarding));
    for n in [1, 2] {
        insert_and_commit(&client, n, Protocol::Extended)
            .await
            .unwrap();
    }
    insert_and_commit(&client, 3, Protocol::Simple)
        .await
        .unwrap_err();
    let client = connect(&database, &proxy).await;
    insert_and_commit(&client, 4, Protocol::Simple)
        .await
        .unwrap();
    let counts = proxy.counts();
    assert_eq!((counts.commits, counts.commits_cut), (4, 1));
    wait_for_rows(&database, &["1", "2", "4"]).await;
}

#[tokio::test]
async fn proxy_takes_the_next_commit_when_the_one_to_be_lost_fails_by_itself() {
    let Some((database, proxy)) = world() else {
        return;
    };
    database.psql("insert into t values (1)");
    let client = connect(&database, &proxy).await;
    proxy.commits(Commits::Nth(1, Cut::BeforeAnswer));
    let error = insert_and_commit(&client, 1, Protocol::Simple)
        .await
        .unwrap_err();
    assert_eq!(error.code().unwrap().code(), "23505");
    insert_and_commit(&client, 2, Protocol::Simple)
        .await
        .unwrap_err();
    assert_eq!(proxy.counts().commits_cut, 1);
    wait_for_rows(&database, &["1", "2"]).await;
}

#[tokio::test]
async fn proxy_delivers_late_what_a_black_hole_held_back() {
    let Some((database, proxy)) = world() else {
        return;
    };
    for (n, held, arrives) in [
        (1, &Direction::BOTH[..], false),
        (2, &[Direction::ToServer][..], false),
        (3, &[Direction::ToClient][..], true),
    ] {
        let client = connect(&database, &proxy).await;
        let count = format!("select count(*) from t where n = {n}");
        proxy.black_hole(held);
        let insert = async move {
            client
                .batch_execute(&format!("insert into t values ({n})"))
                .await
        };
        let mut insert = tokio::spawn(insert);
        if arrives {
            wait_until_async("it arrives", LONG, async || database.psql(&count) == ["1"]).await;
        }
        assert!(timeout(SILENCE, &mut insert).await.is_err(), "{held:?}");
        assert_eq!(database.psql(&count) == ["1"], arrives, "{held:?}");
        let url = proxy.url(database.url());
        assert!(
            timeout(SILENCE, try_connect(&url)).await.is_err(),
            "{held:?}"
        );
        proxy.pass();
        timeout(LONG, insert).await.unwrap().unwrap().unwrap();
    }
    wait_for_rows(&database, &["1", "2", "3"]).await;
}

#[tokio::test]
async fn proxy_refuses_new_connections_and_closes_old_ones() {
    let Some((database, proxy)) = world() else {
        return;
    };
    let client = connect(&database, &proxy).await;
    proxy.refuse();
    try_connect(&proxy.url(database.url()))
        .await
        .map(drop)
        .unwrap_err();
    client.batch_execute("select 1").await.unwrap();
    proxy.close_all();
    wait_until_async("it is closed", LONG, async || client.is_closed()).await;
    proxy.pass();
    let client = connect(&database, &proxy).await;
    client.batch_execute("select 1").await.unwrap();
    let counts = proxy.counts();
    assert_eq!((counts.accepted, counts.refused), (2, 1));
}

#[tokio::test]
async fn proxy_cuts_in_the_midst_of_an_answer_once() {
    let Some((database, proxy)) = world() else {
        return;
    };
    let client = connect(&database, &proxy).await;
    let long = "select repeat('x', 100000)";
    client.batch_execute(long).await.unwrap();
    proxy.cut_after(Direction::ToClient, 50_000);
    client.batch_execute(long).await.unwrap_err();
    assert_eq!(proxy.counts().cut_after, 1);
    let client = connect(&database, &proxy).await;
    client.batch_execute(long).await.unwrap();
}

#[tokio::test]
async fn proxy_delays_each_direction() {
    let Some((database, proxy)) = world() else {
        return;
    };
    let client = connect(&database, &proxy).await;
    proxy.delay(&Direction::BOTH, Duration::from_millis(150));
    let start = Instant::now();
    client.batch_execute("select 1").await.unwrap();
    assert!(start.elapsed() >= Duration::from_millis(300));
}

#[test]
fn proxy_refuses_to_encrypt_and_serves_clients_that_prefer_to() {
    let Some((database, proxy)) = world() else {
        return;
    };
    let url = proxy.url(database.url());
    assert_eq!(Endpoint::new(&url).psql("select 1"), ["1"]);
    let strict = Endpoint::new(format!("{url}?sslmode=require"));
    let complaint = strict.try_psql("select 1").unwrap_err();
    assert!(complaint.contains("SSL"), "{complaint}");
}

#[test]
fn proxy_of_bytes_carries_the_same_and_sees_no_commit() {
    let Some((database, _)) = world() else { return };
    let known = Proxy::postgres(database.url());
    let blind = Proxy::to(&known.address().to_string());
    let url = blind.url(&known.url(database.url()));
    Endpoint::new(url).psql("begin;\ninsert into t values (1);\ncommit;\n");
    assert_eq!(database.psql("select n from t"), ["1"]);
    assert_eq!((known.counts().commits, blind.counts().commits), (1, 0));
}
