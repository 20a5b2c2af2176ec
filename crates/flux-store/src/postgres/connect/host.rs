//! One host: encrypted as the address says, then asked whether it is the right one.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use diesel::connection::CacheSize;
use diesel_async::{AsyncConnection as _, AsyncPgConnection, SimpleAsyncConnection as _};
use tokio::task::AbortHandle;
use tokio_postgres::config::{self, Config};
use tokio_postgres::tls::{MakeTlsConnect, TlsStream};
use tokio_postgres::{Client, NoTls, Socket};

use super::driver::drive;
use super::failure::{Failure, Problem, Reason};
use super::password::Sources;
use super::server::Server;
use super::session::milliseconds;
use super::{Connected, Session};
use crate::postgres::address::{Address, ChannelBinding, Host, Place, Pooler, SslMode, Switch};
use crate::postgres::tls;

/// A connection to `host`, verified and set up.
pub(super) async fn attempt(
    address: &Address,
    host: &Host,
    session: &Session,
    sources: &Sources,
) -> Result<Connected, Failure> {
    let config = configure(address, host, session, sources);
    let connected = async {
        let open = open_as_told(address, host, &config).await?;
        set_up(address, session, open).await
    };
    connected
        .await
        .map_err(|problem| Failure::new(host, problem))
}

/// What is asked for, without the encryption.
fn configure(address: &Address, host: &Host, session: &Session, sources: &Sources) -> Config {
    let mut config = Config::new();
    match &host.place {
        Place::Tcp(name) => config.host(name),
        Place::Unix(folder) => config.host_path(folder),
    };
    config.port(host.port);
    if let Some(user) = sources.user() {
        config.user(user);
    }
    if let Some(password) = sources.password(address, host) {
        config.password(password);
    }
    if let Some(database) = &address.database {
        config.dbname(database);
    }
    if let Some(options) = &address.options {
        config.options(options);
    }
    let name = address.application_name.as_ref();
    config.application_name(name.unwrap_or(&session.application_name));
    config.channel_binding(match address.channel_binding {
        ChannelBinding::Disable => config::ChannelBinding::Disable,
        ChannelBinding::Prefer => config::ChannelBinding::Prefer,
        ChannelBinding::Require => config::ChannelBinding::Require,
    });
    config.tcp_user_timeout(address.tcp_user_timeout.unwrap_or(session.tcp_user_timeout));
    let keepalive = &address.keepalive;
    config.keepalives(keepalive.on == Switch::On);
    config.keepalives_idle(keepalive.idle);
    config.keepalives_interval(keepalive.interval);
    config.keepalives_retries(keepalive.count);
    config
}

/// An open connection with the task that drives it.
struct Open {
    client: Client,
    driver: Driver,
    commit_not_replicated: Arc<AtomicBool>,
}

/// Ends its task when it is dropped: without that, each try at a server that has stopped answering
/// would leave a connection behind that waits for it.
struct Driver(Option<AbortHandle>);

impl Drop for Driver {
    fn drop(&mut self) {
        if let Some(driver) = &self.0 {
            driver.abort();
        }
    }
}

/// As `sslmode` says. A Unix socket never leaves the machine and is never encrypted.
async fn open_as_told(address: &Address, host: &Host, config: &Config) -> Result<Open, Problem> {
    let with = |mode: config::SslMode| {
        let mut config = config.clone();
        config.ssl_mode(mode);
        config
    };
    let plain = || async { open(&with(config::SslMode::Disable), NoTls, host).await };
    let encrypted = |mode| async move {
        let connector = tls::connector(&address.tls).map_err(unusable_file)?;
        open(&with(mode), connector, host).await
    };
    if matches!(host.place, Place::Unix(_)) {
        return plain().await;
    }
    match address.tls.mode {
        SslMode::Disable => plain().await,
        SslMode::Allow => match plain().await {
            Err(first) if may_differ(&first) => {
                second(first, encrypted(config::SslMode::Require).await)
            }
            decided => decided,
        },
        SslMode::Prefer => match encrypted(config::SslMode::Prefer).await {
            Err(first) if may_differ(&first) => second(first, plain().await),
            decided => decided,
        },
        SslMode::Require | SslMode::VerifyCa | SslMode::VerifyFull => {
            encrypted(config::SslMode::Require).await
        }
    }
}

/// Whether it may work with encryption when it did not without, or the other way round. A wrong
/// password is wrong either way.
fn may_differ(problem: &Problem) -> bool {
    matches!(problem.reason, Reason::Tls | Reason::NotLetIn)
}

/// The second try, unless it failed only because it was not encrypted as the first.
fn second(first: Problem, second: Result<Open, Problem>) -> Result<Open, Problem> {
    second.map_err(|problem| {
        let says_more = problem.reason != Reason::Tls && first.reason != Reason::Tls;
        if says_more { problem } else { first }
    })
}

fn unusable_file(what: String) -> Problem {
    Problem {
        reason: Reason::File,
        what,
        advice: "name readable PEM files in sslrootcert, sslcert and sslkey",
    }
}

async fn open<T>(config: &Config, tls: T, host: &Host) -> Result<Open, Problem>
where
    T: MakeTlsConnect<Socket>,
    T::Stream: TlsStream + Unpin + Send + 'static,
{
    let (client, connection) = config.connect(tls).await?;
    let commit_not_replicated = Arc::new(AtomicBool::new(false));
    let driver = drive(
        connection,
        host.to_string(),
        Arc::clone(&commit_not_replicated),
    );
    Ok(Open {
        client,
        driver: Driver(Some(driver)),
        commit_not_replicated,
    })
}

async fn set_up(
    address: &Address,
    session: &Session,
    mut open: Open,
) -> Result<Connected, Problem> {
    let client = open.client;
    let server = Server::ask(&client).await?;
    server.judge(address.wanted)?;
    let conn = match address.pooler {
        Pooler::None => {
            set_session(&client, address, session).await?;
            AsyncPgConnection::try_from(client).await?
        }
        Pooler::Transaction => within_a_transaction(client).await?,
    };
    let driver = open.driver.0.take();
    Ok(Connected {
        conn,
        commit_not_replicated: open.commit_not_replicated,
        identity: server.identity,
        in_recovery: server.in_recovery,
        server_version: server.version,
        warnings: server.warnings,
        driver: driver.expect("only this takes it"),
    })
}

/// How soon the server notices that we are gone, even within a long statement.
async fn set_session(client: &Client, address: &Address, session: &Session) -> Result<(), Problem> {
    let keepalive = &address.keepalive;
    let unacknowledged = address.tcp_user_timeout.unwrap_or(session.tcp_user_timeout);
    let mut text = format!("SET tcp_user_timeout = {};", milliseconds(unacknowledged));
    if keepalive.on == Switch::On {
        text.push_str(&format!(
            " SET tcp_keepalives_idle = {}; SET tcp_keepalives_interval = {}; \
             SET tcp_keepalives_count = {}",
            keepalive.idle.as_secs(),
            keepalive.interval.as_secs(),
            keepalive.count
        ));
    }
    client.batch_execute(&text).await?;
    // Not every operating system can, and then the server says so.
    let check = client.batch_execute("SET client_connection_check_interval = '5s'");
    match check.await {
        Err(error) if error.as_db_error().is_none() => Err(error.into()),
        Err(error) => {
            tracing::debug!(%error, "the server cannot watch for lost clients within statements");
            Ok(())
        }
        Ok(()) => Ok(()),
    }
}

/// diesel-async prepares statements when it takes over a client, and a pooler may give the use of one
/// to another session than its preparation, unless both lie in one transaction.
async fn within_a_transaction(client: Client) -> Result<AsyncPgConnection, Problem> {
    client.batch_execute("BEGIN").await?;
    let mut conn = AsyncPgConnection::try_from(client).await?;
    conn.set_prepared_statement_cache_size(CacheSize::Disabled);
    let end = conn.batch_execute("COMMIT").await;
    end.map_err(diesel::ConnectionError::CouldntSetupConfiguration)?;
    Ok(conn)
}
