//! What several of these tests need.

use std::time::Duration;

use diesel::sql_types::Text;
use diesel_async::{AsyncPgConnection, RunQueryDsl as _};
use flux_store::postgres::address::Address;
use flux_store::postgres::connect::{ConnectError, Connected, Session, connect};
use flux_testkit::postgres::{Endpoint, Server};

/// The address of a text that is one.
pub fn address(url: &str) -> Address {
    url.parse().unwrap_or_else(|error| panic!("{url}: {error}"))
}

pub async fn try_connect(url: &str) -> Result<Connected, ConnectError> {
    connect(&address(url), &Session::default(), |_| Ok(())).await
}

pub async fn open(url: &str) -> Connected {
    let opened = try_connect(url).await;
    opened.unwrap_or_else(|error| panic!("{url}: {error}"))
}

/// The reason why it does not open, and its text.
pub async fn refused(url: &str) -> ConnectError {
    match try_connect(url).await {
        Ok(_) => panic!("{url} must be refused"),
        Err(error) => error,
    }
}

/// `host:port` of a server, with another user and database.
pub fn url(server: &Server, user: &str, rest: &str) -> String {
    format!("postgres://{user}@127.0.0.1:{}/{rest}", server.port())
}

#[derive(diesel::QueryableByName)]
struct Answer {
    #[diesel(sql_type = Text)]
    answer: String,
}

/// The one value that `expression` has in this session.
pub async fn ask(conn: &mut AsyncPgConnection, expression: &str) -> String {
    let query = diesel::sql_query(format!("SELECT ({expression})::text AS answer"));
    let answer: Answer = query
        .get_result(conn)
        .await
        .unwrap_or_else(|error| panic!("{expression}: {error}"));
    answer.answer
}

/// Writes a file that only the server may read into its data directory.
pub fn write_file(server: &Endpoint, name: &str, text: &str) {
    server.psql(&format!(
        "copy (select unnest(string_to_array($text${}$text$, E'\\n'))) \
         to program 'umask 077 && cat > {name}'",
        text.trim_end()
    ));
}

/// Lets everybody in as `lines` of `pg_hba.conf` say, and the superuser always.
pub fn set_hba(server: &Endpoint, lines: &str) {
    let text = format!("host all postgres 127.0.0.1/32 trust\n{lines}");
    write_file(server, "pg_hba.conf", &text);
    let loaded = || server.psql("select pg_conf_load_time()");
    let before = loaded();
    server.psql("select pg_reload_conf()");
    wait_for("the settings are loaded", || loaded() != before);
}

/// Until it is so, and not for ever.
#[track_caller]
pub fn wait_for(what: &str, mut so: impl FnMut() -> bool) {
    let began = std::time::Instant::now();
    while !so() {
        assert!(
            began.elapsed() < Duration::from_secs(30),
            "waiting for: {what}"
        );
        std::thread::yield_now();
    }
}

/// Until the server answers so, while the connections of this test go on.
pub async fn eventually(server: &Endpoint, question: &'static str, answer: &'static str) {
    let server = Endpoint::new(server.url());
    let asking = move || wait_for(question, || server.psql(question) == [answer]);
    let asked = tokio::task::spawn_blocking(asking).await;
    asked.expect("it answers so");
}
