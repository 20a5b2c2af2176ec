//! What everybody in the test works on: one server, one database, one cluster, one witness.

use crate::plan::WINDOW;
use flux_testkit::postgres::{Database, Server, faketime_installed};
use flux_testkit::{Cluster, Witness};
use std::path::PathBuf;

/// Connections that the server takes: a few more than five engines need.
pub const CONNECTIONS: usize = 60;

pub struct World {
    pub witness: Witness,
    pub cluster: Cluster,
    pub database: Database,
    pub server: Server,
    /// The library that gives wrong calendars, in a world that has some.
    pub faketime: Option<PathBuf>,
}

impl World {
    /// Wrong calendars cost checks: not every world has them.
    pub fn new(calendars: bool) -> World {
        let faketime = calendars.then(library).flatten();
        let server = Server::builder()
            .setting("max_connections", &CONNECTIONS.to_string())
            .setting("superuser_reserved_connections", "0")
            // Otherwise it notices that a client is gone only when the statement has ended.
            .setting("client_connection_check_interval", "500ms")
            .start();
        let database = server.create_database();
        let window = format!("+{}s", WINDOW.as_secs());
        World {
            witness: Witness::new(),
            cluster: Cluster::new(env!("CARGO_BIN_EXE_flux"), &window).on(database.url()),
            database,
            server,
            faketime,
        }
    }

    /// Runs that have not ended; `None` while nobody can say.
    pub fn open_runs(&self) -> Option<usize> {
        let rows = self
            .database
            .try_psql("select count(*) from flux.run where state = 0");
        rows.ok()?.concat().parse().ok()
    }
}

fn library() -> Option<PathBuf> {
    if !faketime_installed() {
        return None;
    }
    let folders = std::fs::read_dir("/usr/lib").ok()?.flatten();
    let mut paths = folders.map(|folder| folder.path().join("faketime/libfaketimeMT.so.1"));
    paths.find(|path| path.exists())
}
