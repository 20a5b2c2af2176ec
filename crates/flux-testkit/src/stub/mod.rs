//! An HTTP(S) server on the loopback interface. It runs on a thread of its own, so that blocking
//! tests of real processes and asynchronous tests can both use it.

mod serve;
pub mod services;
mod tls;

use std::fmt;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

/// A request as the stub received it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// Such as `GET`.
    pub method: String,
    /// Path as sent, without the query.
    pub path: String,
    /// Query as sent, without `?`; empty when there is none.
    pub query: String,
    /// Names in lower case, in the order of arrival.
    pub headers: Vec<(String, String)>,
    /// The whole body.
    pub body: Vec<u8>,
}

impl Asked {
    /// First header of that name (lower case).
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// The body as JSON; panics when it is none.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).expect("the body is JSON")
    }
}

/// What the stub answers.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Such as 200.
    pub status: u16,
    /// As sent; `Content-Length` and `Connection` are added.
    pub headers: Vec<(String, String)>,
    /// The whole body.
    pub body: Vec<u8>,
    /// How it is sent.
    pub manner: Manner,
}

/// How an answer is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// At once.
    Plain,
    /// Status and headers, then byte after byte of the body with this pause between them.
    Slow(Duration),
    /// Nothing at all; the connection stays open.
    Never,
    /// Nothing at all; the connection is closed.
    Drop,
    /// Status, headers and half of the body; then the connection is closed.
    Half,
    /// The body again and again without a length, until the client closes.
    Endless,
}

impl Answer {
    /// Plain text.
    pub fn text(status: u16, text: impl Into<String>) -> Answer {
        Answer {
            status,
            headers: vec![(
                "Content-Type".to_owned(),
                "text/plain; charset=utf-8".to_owned(),
            )],
            body: text.into().into_bytes(),
            manner: Manner::Plain,
        }
    }

    /// JSON.
    pub fn json(status: u16, value: &serde_json::Value) -> Answer {
        let mut answer = Answer::text(status, value.to_string());
        answer.headers = vec![("Content-Type".to_owned(), "application/json".to_owned())];
        answer
    }

    /// With another header.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Answer {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// Sent in another manner.
    #[must_use]
    pub fn sent(mut self, manner: Manner) -> Answer {
        self.manner = manner;
        self
    }
}

/// Decides the answer to a request.
type Route = Arc<dyn Fn(&Asked) -> Answer + Send + Sync>;

/// A running server; it ends on drop, with all its connections.
pub struct Stub {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
    authority: Option<tls::Authority>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Stub {
    /// Serves HTTP on a free port of 127.0.0.1.
    pub fn http(route: impl Fn(&Asked) -> Answer + Send + Sync + 'static) -> Stub {
        Stub::start(Arc::new(route), None)
    }

    /// Serves HTTPS as these hosts, with certificates of an authority of its own; see
    /// [`Stub::ca_file`].
    pub fn https(hosts: &[&str], route: impl Fn(&Asked) -> Answer + Send + Sync + 'static) -> Stub {
        Stub::start(Arc::new(route), Some(tls::Authority::new(hosts)))
    }

    fn start(route: Route, authority: Option<tls::Authority>) -> Stub {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        listener
            .set_nonblocking(true)
            .expect("a listener that does not block");
        let address = listener.local_addr().expect("the listener's address");
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (stop, stopped) = oneshot::channel();
        let acceptor = authority.as_ref().map(tls::Authority::acceptor);
        let site = serve::Site {
            route,
            asked: Arc::clone(&asked),
            acceptor,
        };
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime for the stub");
            runtime.block_on(async {
                let listener = TcpListener::from_std(listener).expect("a listener for the runtime");
                tokio::select! {
                    () = serve::accept(listener, site) => {}
                    _ = stopped => {}
                }
            });
        });
        Stub {
            address,
            asked,
            authority,
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// URL of a path (`/a?b=c`) on its own address.
    pub fn url(&self, path: &str) -> String {
        let scheme = if self.authority.is_some() {
            "https"
        } else {
            "http"
        };
        format!("{scheme}://{}{path}", self.address)
    }

    /// PEM file of the authority that signed the certificates; panics for plain HTTP.
    pub fn ca_file(&self) -> &Path {
        self.authority
            .as_ref()
            .expect("only HTTPS has an authority")
            .file()
    }

    /// All requests so far, in the order of arrival.
    pub fn asked(&self) -> Vec<Asked> {
        self.asked
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl Drop for Stub {
    fn drop(&mut self) {
        self.stop.take().map(|stop| stop.send(()));
        self.thread.take().map(JoinHandle::join);
    }
}

impl fmt::Debug for Stub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stub")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}
