//! A replica of a server.

use crate::place::Place;
use crate::server::{Server, must};
use crate::wait::{random, wait_for};
use std::ops::Deref;

/// Whether a commit waits for a standby.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replication {
    /// It does: what was answered is on the standby, too.
    Synchronous,
    /// It does not: a promoted standby may lack the last commits.
    Asynchronous,
}

/// A server that follows another one until it is promoted.
#[derive(Debug)]
pub struct Standby {
    server: Server,
    /// Where it streams from.
    primary: String,
}

impl Deref for Standby {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.server
    }
}

impl Standby {
    pub(crate) fn of(primary: &Server, replication: Replication) -> Result<Standby, String> {
        let name = format!("standby_{:016x}", random());
        let source = format!(
            "host=127.0.0.1 port={} user=postgres application_name={name}",
            primary.port()
        );
        let mut place = Place::new(false, primary.storage())?;
        place.fill_from(&source)?;
        place.configure("primary_conninfo", &source)?;
        // Once promoted, it waits for nobody.
        place.configure("synchronous_standby_names", "")?;
        // How soon it tries again when it cannot reach the other.
        place.configure("wal_retrieve_retry_interval", "100ms")?;
        let standby = Standby {
            server: Server::start_at(place)?,
            primary: source,
        };
        let wanted = match replication {
            Replication::Synchronous => {
                primary.configure("synchronous_standby_names", &name);
                "sync"
            }
            Replication::Asynchronous => "async",
        };
        let question = format!(
            "select sync_state from pg_stat_replication \
             where application_name = '{name}' and state = 'streaming'"
        );
        wait_for("the standby streams", || {
            primary.psql(&question) == [wanted]
        })?;
        Ok(standby)
    }

    /// Cuts it off from its primary: what is committed there from now on does not arrive here.
    #[track_caller]
    pub fn cut_replication(&self) {
        self.configure("primary_conninfo", "");
        self.wait_for_receivers("0");
    }

    /// Lets it follow its primary again.
    #[track_caller]
    pub fn resume_replication(&self) {
        self.configure("primary_conninfo", &self.primary);
        self.wait_for_receivers("1");
    }

    /// Makes it a primary of its own, on a new timeline, and waits until it takes writes. The old
    /// primary knows nothing of it.
    #[track_caller]
    pub fn promote(&self) {
        assert_eq!(self.psql("select pg_promote(true, 60)"), ["t"], "promoted");
    }

    #[track_caller]
    fn wait_for_receivers(&self, count: &str) {
        must(wait_for("the connection to the primary changed", || {
            self.psql("select count(*) from pg_stat_wal_receiver where status = 'streaming'")
                == [count]
        }));
    }
}
