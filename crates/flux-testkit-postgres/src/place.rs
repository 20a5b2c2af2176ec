//! Everything of a server that outlives its processes: directory, settings, port, log, clock.

use crate::home::Home;
use crate::postmaster::Postmaster;
use crate::programs::{Programs, run};
use crate::storage::Storage;
use crate::template;
use crate::wait::random;
use std::fs::{OpenOptions, read_dir, read_to_string, rename, write};
use std::io::Write;
use std::net::TcpListener;
use std::path::{Path, PathBuf};

/// What differs from PostgreSQL's defaults. Files under `/dev/shm` would outlive a killed server.
const SETTINGS: &[(&str, &str)] = &[
    ("listen_addresses", "127.0.0.1"),
    ("dynamic_shared_memory_type", "mmap"),
    ("fsync", "off"),
    ("full_page_writes", "off"),
    ("shared_buffers", "32MB"),
    // It may all lie in memory.
    ("max_wal_size", "256MB"),
    ("log_line_prefix", "%m [%p] %q%a "),
];

/// Below the ports that the system gives to outgoing connections: while the server is down, a client
/// that tries again and again to reach it must not be given its port and so reach itself.
const PORTS: std::ops::Range<u64> = 15_000..32_000;
/// Another process may take a port between our look and the server's start.
const PORTS_TRIED: usize = 5;

/// A server's directory and how to start a server in it.
#[derive(Debug)]
pub(crate) struct Place {
    programs: Programs,
    home: Home,
    storage: Storage,
    port: u16,
    /// The library that fakes the clock.
    faketime: Option<PathBuf>,
}

impl Place {
    pub(crate) fn new(faketime: bool, storage: Storage) -> Result<Place, String> {
        let programs = Programs::find().ok_or(
            "neither PostgreSQL's server programs nor a user to run them \
             (apt-get install postgresql)",
        )?;
        let library = || faketime_library().ok_or("no libfaketime (apt-get install libfaketime)");
        let place = Place {
            home: Home::new(&programs, storage)?,
            programs,
            storage,
            port: 0,
            faketime: faketime.then(library).transpose()?,
        };
        place.set_clock("+0")?;
        Ok(place)
    }

    /// A fresh data directory with our settings.
    pub(crate) fn fill_from_template(&mut self) -> Result<(), String> {
        template::unpack(&self.programs, &self.home)?;
        SETTINGS
            .iter()
            .try_for_each(|(name, value)| self.configure(name, value))
    }

    /// The data directory of a running server, with its settings.
    pub(crate) fn fill_from(&mut self, url: &str) -> Result<(), String> {
        let mut backup = self.programs.command("pg_basebackup");
        backup.args(["--wal-method=stream", "--checkpoint=fast", "--no-sync"]);
        backup.args(["--dbname", url, "--pgdata=."]);
        run(self.home.work_in(&mut backup))?;
        self.write("data/standby.signal", "")
    }

    /// Adds a line to `postgresql.conf`.
    pub(crate) fn configure(&self, name: &str, value: &str) -> Result<(), String> {
        let line = format!("{name} = '{}'\n", value.replace('\'', "''"));
        let path = self.home.data().join("postgresql.conf");
        let file = OpenOptions::new().append(true).open(&path);
        file.and_then(|mut file| file.write_all(line.as_bytes()))
            .map_err(|error| format!("cannot write {}: {error}", path.display()))
    }

    pub(crate) fn start_at_a_free_port(&mut self) -> Result<Postmaster, String> {
        let mut tries = PORTS_TRIED;
        self.configure(
            "unix_socket_directories",
            &self.home.path().display().to_string(),
        )?;
        loop {
            self.port = free_port();
            self.configure("port", &self.port.to_string())?;
            match self.start() {
                Err(error) if tries > 1 && error.contains("Address already in use") => tries -= 1,
                result => return result,
            }
        }
    }

    pub(crate) fn start(&self) -> Result<Postmaster, String> {
        let mut command = self.programs.command("postgres");
        if let Some(library) = &self.faketime {
            command
                .env("LD_PRELOAD", library)
                .env("FAKETIME_TIMESTAMP_FILE", self.home.path().join("clock"))
                .env("FAKETIME_NO_CACHE", "1")
                .env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
        }
        Postmaster::start(command, &self.home.data(), &self.log_file())
    }

    pub(crate) fn set_clock(&self, offset: &str) -> Result<(), String> {
        self.write("clock", offset)
    }

    pub(crate) fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }

    pub(crate) fn storage(&self) -> Storage {
        self.storage
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn log(&self) -> String {
        read_to_string(self.log_file()).unwrap_or_default()
    }

    /// Ends whatever runs here and removes the directory.
    pub(crate) fn clear(&mut self) {
        self.home.clear();
    }

    fn log_file(&self) -> PathBuf {
        self.home.path().join("log")
    }

    /// Replaces a file at once, so that no reader sees half of it.
    fn write(&self, name: &str, text: &str) -> Result<(), String> {
        let path = self.home.path().join(name);
        let new = path.with_extension("new");
        write(&new, text)
            .and_then(|()| self.programs.give(&new))
            .and_then(|()| rename(&new, &path))
            .map_err(|error| format!("cannot write {}: {error}", path.display()))
    }
}

/// Whether servers can be given a clock with [`crate::Builder::faketime`].
pub fn faketime_installed() -> bool {
    faketime_library().is_some()
}

/// Where Debian and others put the library, for any architecture.
fn faketime_library() -> Option<PathBuf> {
    let folders = read_dir(Path::new("/usr/lib"))
        .into_iter()
        .flatten()
        .flatten();
    let mut paths = folders.map(|folder| folder.path().join("faketime/libfaketimeMT.so.1"));
    paths.find(|path| path.exists())
}

fn free_port() -> u16 {
    loop {
        let port = PORTS.start + random() % (PORTS.end - PORTS.start);
        let port = u16::try_from(port).expect("the range is one of ports");
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}
