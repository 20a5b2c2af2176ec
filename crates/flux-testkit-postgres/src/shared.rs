//! One server for many tests, each with a database of its own.

use crate::endpoint::Endpoint;
use crate::programs::installed;
use crate::server::Server;
use std::sync::OnceLock;

/// Names the environment variable with the URL of a server that runs already and that tests may use:
/// its user must be allowed to create databases. `cargo xtask test` sets it.
pub const VARIABLE: &str = "FLUX_TEST_POSTGRES";

/// Connections that a shared server takes: several tests use it at the same time.
const CONNECTIONS: &str = "300";

impl Server {
    /// A server that many tests share.
    ///
    /// # Errors
    /// As [`crate::Builder::try_start`].
    pub fn for_sharing() -> Result<Server, String> {
        Server::builder()
            .setting("max_connections", CONNECTIONS)
            .setting("shared_buffers", "128MB")
            .try_start()
    }

    /// The server that [`VARIABLE`] names, otherwise one for all tests of this process. Nobody may
    /// stop or change it.
    #[track_caller]
    pub fn shared() -> &'static Endpoint {
        static ENDPOINT: OnceLock<Endpoint> = OnceLock::new();
        // Never dropped: the end of the process ends it.
        static OURS: OnceLock<Server> = OnceLock::new();
        ENDPOINT.get_or_init(|| match named() {
            Some(url) => Endpoint::new(url),
            None => {
                Endpoint::clone(OURS.get_or_init(|| {
                    Server::for_sharing().unwrap_or_else(|error| panic!("{error}"))
                }))
            }
        })
    }
}

/// Whether tests can have a server at all; says so when they cannot, for them to return early.
#[expect(clippy::print_stderr, reason = "a test that is skipped says so")]
pub fn available() -> bool {
    let available = named().is_some() || installed();
    if !available {
        eprintln!("SKIPPED: PostgreSQL is not installed (apt-get install postgresql)");
    }
    available
}

/// The URL of the server that we are to use.
pub(crate) fn named() -> Option<String> {
    let url = std::env::var(VARIABLE).ok()?;
    (!url.is_empty()).then_some(url)
}
