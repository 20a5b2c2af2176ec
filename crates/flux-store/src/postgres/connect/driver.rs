//! The task that moves bytes between a connection and its server, and hears what nobody asked for.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::task::AbortHandle;
use tokio_postgres::error::{DbError, Severity};
use tokio_postgres::tls::TlsStream;
use tokio_postgres::{AsyncMessage, Connection, Socket};

/// Drives `connection` until it ends, and sets `commit_not_replicated` when a commit is in doubt.
///
/// diesel-async could drive it too, but drops all notices. The order of messages is kept: the flag is
/// set before the answer to the commit reaches whoever waits for it.
pub(super) fn drive<S>(
    mut connection: Connection<Socket, S>,
    server: String,
    commit_not_replicated: Arc<AtomicBool>,
) -> AbortHandle
where
    S: TlsStream + Unpin + Send + 'static,
{
    let task = tokio::spawn(async move {
        loop {
            match poll_fn(|cx| connection.poll_message(cx)).await {
                Some(Ok(AsyncMessage::Notice(notice))) => {
                    if is_commit_in_doubt(&notice) {
                        commit_not_replicated.store(true, Ordering::SeqCst);
                    }
                    tracing::debug!(%server, code = notice.code().code(), "notice: {}", notice.message());
                }
                Some(Ok(_)) => {}
                Some(Err(error)) => {
                    let reason = super::failure::whole(&error);
                    tracing::debug!(%server, "the connection to the database ended: {reason}");
                    return;
                }
                None => {
                    tracing::debug!(%server, "the connection to the database is closed");
                    return;
                }
            }
        }
    });
    task.abort_handle()
}

/// The server tells only by a warning that a commit stopped waiting for its standby. The routine is
/// asked too because the text may be in another language.
fn is_commit_in_doubt(notice: &DbError) -> bool {
    let warning = matches!(notice.parsed_severity(), Some(Severity::Warning) | None);
    let text = notice.message();
    warning
        && (notice.routine() == Some("SyncRepWaitForLSN")
            || text.starts_with("canceling wait for synchronous replication")
            || text.starts_with("canceling the wait for synchronous replication"))
}
