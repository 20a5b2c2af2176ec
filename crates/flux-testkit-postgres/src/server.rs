//! A private server: how it is started, and what tests do to it while it runs.

use crate::endpoint::Endpoint;
use crate::place::Place;
use crate::postmaster::{Mode, Postmaster};
use crate::standby::{Replication, Standby};
use crate::storage::Storage;
use crate::wait::wait_for;
use std::ops::Deref;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// How a server is to be started.
#[derive(Clone, Debug, Default)]
pub struct Builder {
    settings: Vec<(String, String)>,
    faketime: bool,
    storage: Storage,
}

impl Builder {
    /// A line of `postgresql.conf`; the last one for a name counts.
    #[must_use]
    pub fn setting(mut self, name: &str, value: &str) -> Builder {
        self.settings.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Writes to the disk and waits for it, as in production. A server without this is faster, lies
    /// in memory where there is enough, and forgets nothing either when its processes are killed: only
    /// when the machine is.
    #[must_use]
    pub fn durable(self) -> Builder {
        let mut builder = self.setting("fsync", "on");
        builder.storage = Storage::Disk;
        builder.setting("full_page_writes", "on")
    }

    /// Gives it a calendar that [`Server::set_clock`] changes, by libfaketime.
    #[must_use]
    pub fn faketime(mut self) -> Builder {
        self.faketime = true;
        self
    }

    /// Starts it and waits until it takes connections.
    #[track_caller]
    pub fn start(self) -> Server {
        self.try_start().unwrap_or_else(|error| panic!("{error}"))
    }

    /// The same for those who have something to do without a server.
    ///
    /// # Errors
    /// A sentence, and the server's log where there is one.
    pub fn try_start(self) -> Result<Server, String> {
        let mut place = Place::new(self.faketime, self.storage)?;
        place.fill_from_template()?;
        for (name, value) in &self.settings {
            place.configure(name, value)?;
        }
        Server::start_at(place)
    }
}

/// A running (or stopped) server of this test alone, on 127.0.0.1. When it is dropped or the test
/// process ends, however it ends, the server is stopped and its directory removed.
#[derive(Debug)]
pub struct Server {
    endpoint: Endpoint,
    place: Place,
    running: Mutex<Option<Postmaster>>,
}

impl Deref for Server {
    type Target = Endpoint;

    fn deref(&self) -> &Endpoint {
        &self.endpoint
    }
}

impl Server {
    /// A server as most tests want it.
    #[track_caller]
    pub fn start() -> Server {
        Server::builder().start()
    }

    /// A server with settings of its own.
    pub fn builder() -> Builder {
        Builder::default()
    }

    pub(crate) fn start_at(mut place: Place) -> Result<Server, String> {
        let postmaster = place.start_at_a_free_port()?;
        Ok(Server {
            endpoint: Endpoint::new(place.url()),
            place,
            running: Mutex::new(Some(postmaster)),
        })
    }

    /// Its TCP port on 127.0.0.1, which it keeps when it is started again.
    pub fn port(&self) -> u16 {
        self.place.port()
    }

    pub(crate) fn storage(&self) -> Storage {
        self.place.storage()
    }

    /// What it wrote to its log so far.
    pub fn log(&self) -> String {
        self.place.log()
    }

    /// Stops it in this way and waits until nothing of it is left. A frozen one is thawed first,
    /// unless it is killed.
    #[track_caller]
    pub fn stop(&self, mode: Mode) {
        let postmaster = self.running().take().expect("the server runs");
        if mode != Mode::Kill {
            must(postmaster.thaw());
        }
        must(postmaster.stop(mode));
    }

    /// Starts a stopped one, at the same port, and waits until it takes connections.
    #[track_caller]
    pub fn start_again(&self) {
        let mut running = self.running();
        assert!(running.is_none(), "the server runs already");
        *running = Some(must(self.place.start()));
    }

    /// Stops it and starts it again.
    #[track_caller]
    pub fn restart(&self, mode: Mode) {
        self.stop(mode);
        self.start_again();
    }

    /// Stops all of its processes where they are (SIGSTOP): connections stay, nothing answers.
    #[track_caller]
    pub fn freeze(&self) {
        must(self.running().as_ref().expect("the server runs").freeze());
    }

    /// Lets a frozen server go on.
    #[track_caller]
    pub fn thaw(&self) {
        must(self.running().as_ref().expect("the server runs").thaw());
    }

    /// Ends the connections of clients for which this condition on `pg_stat_activity` holds, `true`
    /// for all; their number. They are told (SQLSTATE 57P01).
    #[track_caller]
    pub fn kill_backends(&self, condition: &str) -> usize {
        let rows = self.psql(&format!(
            "select pg_terminate_backend(pid) from pg_stat_activity \
             where backend_type = 'client backend' and pid <> pg_backend_pid() and ({condition})"
        ));
        rows.iter().filter(|row| *row == "t").count()
    }

    /// Changes a setting that can be changed while it runs. Every connection made from now on has
    /// it; those that are there follow as soon as they are idle.
    #[track_caller]
    pub fn configure(&self, name: &str, value: &str) {
        let loaded = || self.psql("select pg_conf_load_time()");
        let before = loaded();
        must(self.place.configure(name, value));
        must(self.running().as_ref().expect("the server runs").reload());
        must(wait_for("the settings are loaded", || loaded() != before));
    }

    /// Sets the calendar of a server with [`Builder::faketime`], while it runs: `+3600` is an hour
    /// ahead of ours. Its steady clocks stay as they are.
    #[track_caller]
    pub fn set_clock(&self, offset: &str) {
        must(self.place.set_clock(offset));
    }

    /// A replica of this server, streaming from it. With [`Replication::Synchronous`] each commit
    /// here waits for it from now on (the last such standby is the one that counts).
    #[track_caller]
    pub fn standby(&self, replication: Replication) -> Standby {
        must(Standby::of(self, replication))
    }

    fn running(&self) -> MutexGuard<'_, Option<Postmaster>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.place.clear();
        if let Some(postmaster) = self.running().take() {
            postmaster.reap();
        }
    }
}

#[track_caller]
pub(crate) fn must<T>(result: Result<T, String>) -> T {
    result.unwrap_or_else(|error| panic!("{error}"))
}
