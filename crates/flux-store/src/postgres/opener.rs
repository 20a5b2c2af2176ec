//! Connections for the threads of a store.

use std::sync::Arc;
use std::time::Duration;

use diesel_async::AsyncPgConnection;
use flux_core::ports::Error;

use super::conn::Conn;

/// Opens connections to one database.
#[derive(Clone)]
pub(crate) struct Opener {
    url: String,
    prologue: Arc<str>,
}

impl Opener {
    pub(crate) fn interim(url: &str, schema: &str) -> Opener {
        Opener {
            url: url.to_owned(),
            prologue: format!("BEGIN; SET LOCAL search_path = \"{schema}\"").into(),
        }
    }

    pub(crate) fn for_members(&self) -> Opener {
        self.clone()
    }

    pub(crate) async fn open(&self) -> Result<Conn, Error> {
        let (client, connection) = tokio_postgres::connect(&self.url, tokio_postgres::NoTls)
            .await
            .map_err(|e| Error::Unavailable(e.to_string()))?;
        let conn = AsyncPgConnection::try_from_client_and_connection(client, connection)
            .await
            .map_err(|e| Error::Unavailable(e.to_string()))?;
        Ok(Conn::new(
            conn,
            Arc::clone(&self.prologue),
            Duration::from_secs(15),
            Arc::default(),
        ))
    }

    pub(crate) async fn open_to_read(&self) -> Result<Conn, Error> {
        self.open().await
    }
}
