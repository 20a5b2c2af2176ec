//! From an [`Address`] to an open connection that is known to be the right one.
//!
//! ```text
//!   connect ──► host (each in turn, within its share of the deadline)
//!                 │ password, tls ──► tokio-postgres ──► driver (a task: notices, the end)
//!                 │ server: version, recovery, read-only, identity, risky settings
//!                 ▼
//!               Connected { AsyncPgConnection, .. }     or  failure: why each host would not do
//! ```

mod driver;
mod failure;
mod host;
mod password;
mod server;
mod session;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use diesel_async::AsyncPgConnection;
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout};

use super::address::{Address, Host, Order};
use super::identity::Identity;
use failure::Failure;
pub use failure::{ConnectError, Reason};
use password::Sources;
pub use session::Session;

/// An open connection, and what it leads to.
pub struct Connected {
    /// The connection. Behind a pooler its statement cache is off, and it works only within
    /// transactions that begin with [`Session::transaction_prologue`] and use no types of our own.
    pub conn: AsyncPgConnection,
    /// Set before the answer to a `COMMIT` arrives that no standby has confirmed although one should
    /// have: that commit is in doubt, though the server calls it done. Never reset: take it with
    /// `swap(false, ..)` after each commit.
    pub commit_not_replicated: Arc<AtomicBool>,
    /// Which database system, on which timeline.
    pub identity: Identity,
    /// Whether this is a standby. Never with `target_session_attrs=read-write`.
    pub in_recovery: bool,
    /// `server_version_num`, such as 150019.
    pub server_version: u32,
    /// Sentences for the operator about settings of the server that may lose what was answered.
    pub warnings: Vec<String>,
    /// Ends the connection at once, even if the server has stopped answering. Dropping `conn` ends it
    /// too, but only after the answers that are due: after an error or a timeout call `abort`.
    pub driver: AbortHandle,
}

/// Tries the hosts of `address` until one is what `target_session_attrs` asks for, and is accepted:
/// a primary that was replaced and still runs must not hide the new one behind it.
///
/// # Errors
/// [`ConnectError`] with the reason of each host, when none would do before `session.deadline`.
pub async fn connect(
    address: &Address,
    session: &Session,
    accept: impl Fn(Identity) -> Result<(), String>,
) -> Result<Connected, ConnectError> {
    let sources = Sources::from_environment(address);
    let end = Instant::now() + session.deadline;
    let hosts = in_order(address);
    let mut failures = Vec::new();
    for (index, host) in hosts.iter().enumerate() {
        let left = end.saturating_duration_since(Instant::now());
        // A host that accepts and then keeps silent must leave time for the others.
        let others = u32::try_from(hosts.len() - index).unwrap_or(u32::MAX);
        let share = left / others;
        let share = address
            .connect_timeout
            .map_or(share, |limit| limit.min(share));
        let attempt = host::attempt(address, host, session, &sources);
        match timeout(share, attempt).await {
            Ok(Ok(connected)) => match accept(connected.identity) {
                Ok(()) => return Ok(connected),
                Err(reason) => failures.push(Failure::refused(host, reason)),
            },
            Ok(Err(failure)) => failures.push(failure),
            Err(_) => failures.push(Failure::silent(host, share)),
        }
    }
    Err(ConnectError::new(address, failures))
}

fn in_order(address: &Address) -> Vec<&Host> {
    let mut hosts: Vec<&Host> = address.hosts.iter().collect();
    if address.order == Order::Random {
        hosts.sort_by_cached_key(|_| uuid::Uuid::new_v4());
    }
    hosts
}
