//! A TCP proxy between clients and a server, whose faults the test decides while it runs. Between
//! clients and PostgreSQL it understands the protocol well enough to lose exactly a COMMIT.
//!
//! ```text
//!   Proxy (the test's thread) --> Rules <-- connection (the proxy's thread)
//!                                             |-> message: where each one ends
//!                                             \-> conversation: which ones are COMMITs
//! ```

mod connection;
mod conversation;
mod message;
mod rules;

pub use rules::{Commits, Counts, Cut, Direction};

use rules::Rules;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::runtime;

/// A running proxy on 127.0.0.1; dropping it closes everything.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    target: Target,
    rules: Arc<Rules>,
    thread: Option<JoinHandle<()>>,
}

/// Where a proxy leads.
#[derive(Clone, Debug)]
struct Target {
    host_and_port: String,
    protocol: Protocol,
}

/// What a proxy knows of what it carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Protocol {
    Bytes,
    Postgres,
}

impl Proxy {
    /// To a server of any kind, `host:port`: carries bytes and sees no COMMIT.
    pub fn to(host_and_port: &str) -> Proxy {
        Proxy::start(host_and_port.to_owned(), Protocol::Bytes)
    }

    /// To the PostgreSQL server of this URL. It refuses to encrypt, in order to read along.
    pub fn postgres(url: &str) -> Proxy {
        let (start, end) = host_and_port(url);
        Proxy::start(url[start..end].to_owned(), Protocol::Postgres)
    }

    fn start(host_and_port: String, protocol: Protocol) -> Proxy {
        let target = Target {
            host_and_port,
            protocol,
        };
        // Bound here, so that clients can come at once; a test may itself run in a runtime, so ours
        // is made by the thread.
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        listener.set_nonblocking(true).expect("a new socket");
        let address = listener.local_addr().expect("a bound listener");
        let rules = Arc::new(Rules::default());
        let serve = connection::serve(listener, target.clone(), Arc::clone(&rules));
        let thread = std::thread::spawn(move || {
            let runtime = runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(serve);
        });
        Proxy {
            address,
            target,
            rules,
            thread: Some(thread),
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// A URL of the server, changed to lead through the proxy.
    pub fn url(&self, url: &str) -> String {
        let (start, end) = host_and_port(url);
        assert_eq!(url[start..end], self.target.host_and_port, "another server");
        format!("{}{}{}", &url[..start], self.address, &url[end..])
    }

    /// Ends all faults. What a black hole held back arrives now, late.
    pub fn pass(&self) {
        self.rules.pass();
    }

    /// Closes every new connection at once; those that are there go on.
    pub fn refuse(&self) {
        self.rules.change(|now| now.refuse = true);
    }

    /// Closes all connections that are there.
    pub fn close_all(&self) {
        self.rules.change(|now| now.closed += 1);
    }

    /// Delivers nothing in these directions, not even the end of a connection, and keeps everything
    /// open: new connections, too.
    pub fn black_hole(&self, directions: &[Direction]) {
        self.rules.change(|now| {
            for direction in directions {
                now.flow(*direction).held = true;
            }
        });
    }

    /// Whatever arrives in these directions is delivered so much later.
    pub fn delay(&self, directions: &[Direction], delay: Duration) {
        self.rules.change(|now| {
            for direction in directions {
                now.flow(*direction).delay = delay;
            }
        });
    }

    /// Delivers so many more bytes in this direction, of all connections together, and closes the
    /// connection that has more, once.
    pub fn cut_after(&self, direction: Direction, bytes: usize) {
        self.rules.cut_after(direction, bytes);
    }

    /// What happens to COMMITs from now on.
    pub fn commits(&self, commits: Commits) {
        self.rules.plan(commits);
    }

    /// What it did so far.
    pub fn counts(&self) -> Counts {
        self.rules.counts()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.rules.change(|now| now.stop = true);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Where in a URL they stand.
fn host_and_port(url: &str) -> (usize, usize) {
    let authority = url.find("://").expect("a URL") + 3;
    let rest = &url[authority..];
    let end = authority + rest.find(['/', '?']).unwrap_or(rest.len());
    let start = url[authority..end].rfind('@').map_or(0, |at| at + 1);
    (authority + start, end)
}
