//! PgBouncer in transaction mode, where each transaction may reach another session.

use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};

use diesel::IntoSql as _;
use diesel::sql_types::{Integer, Text};
use diesel_async::{AsyncPgConnection, RunQueryDsl as _, SimpleAsyncConnection as _};
use flux_store::postgres::connect::{Reason, Session};
use flux_testkit::postgres::{Server, available};

use super::fixture::{ask, open, refused, wait_for};

/// A pooler in front of a server, ended when it is dropped.
struct Pooler {
    child: Child,
    port: u16,
    _folder: tempfile::TempDir,
}

impl Pooler {
    /// With two sessions, of which each transaction gets the one that was not used last.
    /// Nothing, with a word about it, where PgBouncer is not installed.
    #[expect(clippy::print_stderr, reason = "a test that is skipped says so")]
    fn before(server: &Server) -> Option<Self> {
        let found = Command::new("pgbouncer")
            .arg("--version")
            .stdout(Stdio::null())
            .status();
        if found.is_err() {
            eprintln!("SKIPPED: PgBouncer is not installed (apt-get install pgbouncer)");
            return None;
        }
        let folder = tempfile::tempdir().expect("a folder");
        // It gives up the rights of root before it reads the files again.
        open_to_others(folder.path());
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("a port").port();
        let path = |name: &str| folder.path().join(name).display().to_string();
        std::fs::write(path("users"), "\"postgres\" \"\"\n").expect("a file");
        let settings = format!(
            "[databases]\npostgres = host=127.0.0.1 port={}\n[pgbouncer]\nlisten_addr = 127.0.0.1\n\
             listen_port = {port}\nunix_socket_dir =\npool_mode = transaction\nauth_type = trust\n\
             auth_file = {}\ndefault_pool_size = 2\nserver_round_robin = 1\n",
            server.port(),
            path("users"),
        );
        std::fs::write(path("ini"), settings).expect("a file");
        let log = std::fs::File::create(path("log")).expect("a file");
        drop(listener);
        let mut command = Command::new("pgbouncer");
        if is_root() {
            command.args(["-u", "postgres"]);
        }
        let child = command
            .arg(path("ini"))
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("PgBouncer starts");
        let pooler = Self {
            child,
            port,
            _folder: folder,
        };
        wait_for("the pooler listens", || {
            TcpStream::connect(("127.0.0.1", port)).is_ok()
        });
        Some(pooler)
    }

    fn url(&self, rest: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{rest}", self.port)
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn open_to_others(folder: &std::path::Path) {
    use std::os::unix::fs::PermissionsExt as _;
    let all = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(folder, all).expect("permissions");
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output().expect("id");
    id.stdout.trim_ascii() == b"0"
}

async fn begin(conn: &mut AsyncPgConnection) {
    let prologue = Session::default().transaction_prologue("flux");
    conn.batch_execute(&prologue).await.expect("a transaction");
}

async fn commit(conn: &mut AsyncPgConnection) {
    conn.batch_execute("COMMIT").await.expect("a commit");
}

/// The same statement each time, which diesel-async keeps prepared where it may.
async fn echo(conn: &mut AsyncPgConnection, number: i32) -> diesel::QueryResult<i32> {
    diesel::select(number.into_sql::<Integer>())
        .get_result(conn)
        .await
}

#[tokio::test]
async fn transactions_that_change_sessions_work_when_the_url_says_that_there_is_a_pooler() {
    if !available() {
        return;
    }
    let server = Server::start();
    let Some(pooler) = Pooler::before(&server) else {
        return;
    };
    let url = pooler.url("postgres?pgbouncer=true");
    let mut first = open(&url).await.conn;
    let mut second = open(&url).await.conn;
    let mut sessions = std::collections::BTreeSet::new();
    for round in 0..6 {
        // Who begins first takes turns, too, so that neither keeps its session.
        let (early, late) = match round % 2 {
            0 => (&mut first, &mut second),
            _ => (&mut second, &mut first),
        };
        begin(early).await;
        begin(late).await;
        for conn in [early, late] {
            for number in [round, round + 1] {
                assert_eq!(echo(conn, number).await, Ok(number));
            }
            sessions.insert((round % 2, ask(conn, "pg_backend_pid()").await));
            assert_eq!(ask(conn, "current_setting('lock_timeout')").await, "2s");
            assert_eq!(ask(conn, "current_setting('TimeZone')").await, "UTC");
            commit(conn).await;
        }
    }
    assert!(
        sessions.len() > 2,
        "no transaction changed its session: {sessions:?}"
    );
    begin(&mut first).await;
    let left = "(select count(*) from pg_prepared_statements where name like 's%')";
    // The question itself is one.
    assert_eq!(ask(&mut first, left).await, "1");
    commit(&mut first).await;
}

#[tokio::test]
async fn many_clients_share_few_sessions() {
    if !available() {
        return;
    }
    let server = Server::start();
    let Some(pooler) = Pooler::before(&server) else {
        return;
    };
    server.psql("create schema flux; create table flux.t (n int, who text)");
    let url = pooler.url("postgres?pgbouncer=true");
    let clients: Vec<_> = (0..8)
        .map(|client| {
            let url = url.clone();
            tokio::spawn(async move {
                let mut conn = open(&url).await.conn;
                for number in 0..10 {
                    begin(&mut conn).await;
                    diesel::sql_query("INSERT INTO t VALUES ($1, $2)")
                        .bind::<Integer, _>(number)
                        .bind::<Text, _>(format!("client {client}"))
                        .execute(&mut conn)
                        .await
                        .expect("an insert");
                    assert_eq!(echo(&mut conn, number).await, Ok(number));
                    commit(&mut conn).await;
                }
            })
        })
        .collect();
    for client in clients {
        client.await.expect("a client");
    }
    let rows = server.psql("select count(*), count(distinct who) from flux.t");
    assert_eq!(rows, ["80|8"]);
}

#[tokio::test]
async fn many_connect_at_once() {
    if !available() {
        return;
    }
    let server = Server::start();
    let Some(pooler) = Pooler::before(&server) else {
        return;
    };
    // Both sessions are there before the crowd comes, so that it changes between them.
    let url = pooler.url("postgres?pgbouncer=true");
    let (mut one, mut two) = (open(&url).await.conn, open(&url).await.conn);
    begin(&mut one).await;
    begin(&mut two).await;
    commit(&mut one).await;
    commit(&mut two).await;
    let crowd = (0..32).map(|_| open(&url));
    let opened = futures_util::future::join_all(crowd).await;
    assert_eq!(opened.len(), 32);
}

#[tokio::test]
async fn without_the_parameter_a_kept_statement_is_missing_in_another_session() {
    if !available() {
        return;
    }
    let server = Server::start();
    let Some(pooler) = Pooler::before(&server) else {
        return;
    };
    let mut keeping = open(&pooler.url("postgres")).await.conn;
    begin(&mut keeping).await;
    assert_eq!(echo(&mut keeping, 1).await, Ok(1));
    commit(&mut keeping).await;
    // It takes the only session that there is.
    let mut other = open(&pooler.url("postgres?pgbouncer=true")).await.conn;
    begin(&mut other).await;
    begin(&mut keeping).await;
    let error = echo(&mut keeping, 2)
        .await
        .expect_err("it is prepared elsewhere");
    assert!(error.to_string().contains("does not exist"), "{error}");
}

#[tokio::test]
async fn what_the_pooler_refuses_is_told_like_what_a_server_refuses() {
    if !available() {
        return;
    }
    let server = Server::start();
    let Some(pooler) = Pooler::before(&server) else {
        return;
    };
    let missing = refused(&pooler.url("elsewhere?pgbouncer=true")).await;
    assert_eq!(
        missing.reasons().collect::<Vec<_>>(),
        [Reason::NoDatabase],
        "{missing}"
    );
    let stranger = format!("postgres://nobody@127.0.0.1:{}/postgres", pooler.port);
    let stranger = refused(&stranger).await;
    assert_eq!(
        stranger.reasons().collect::<Vec<_>>(),
        [Reason::Credentials],
        "{stranger}"
    );
    server.stop(flux_testkit::postgres::Mode::Fast);
    let away = refused(&pooler.url("postgres?pgbouncer=true&connect_timeout=2")).await;
    assert!(away.is_transient(), "{away}");
}
