//! Opens the port, and serves on it until the engine shuts down.

use crate::connections::Connections;
use crate::listen::{Listen, Locked};
use crate::service::Api;
use crate::token::Gate;
use flux_core::host::Host;
use flux_proto::v1::flux_service_server::{FluxServiceServer, SERVICE_NAME};
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tonic::service::Routes;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::server::ServerTlsConfig;
use tonic::transport::{self, Identity};
use tonic_health::server::HealthReporter;
use tonic_reflection::server::Builder;

/// Longest message from a client.
const LONGEST_REQUEST: usize = 4 << 20;
/// Longest message to a client.
const LONGEST_ANSWER: usize = 16 << 20;
/// About how old a connection gets: then the client connects anew, perhaps to another engine.
const AGE: Duration = Duration::from_secs(3_600);
/// How long a shutdown waits for the answers that are being given.
const GRACE: Duration = Duration::from_secs(5);
/// A call ends after this at the latest; the service itself answers earlier, with details.
const BACKSTOP: Duration = Duration::from_secs(35);

/// Why the port cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// The locks are missing.
    #[error(transparent)]
    Locked(#[from] Locked),
    /// Certificate and key are no pair that can be used.
    #[error("the TLS certificate or its key cannot be used: {0}")]
    Tls(String),
    /// The system refuses the address, which perhaps somebody else has.
    #[error("cannot listen on {address}: {error}")]
    Address {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        error: io::Error,
    },
}

/// Why serving ended early.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The network does not work.
    #[error("the server for clients has ended: {0}")]
    Transport(#[from] transport::Error),
    /// The descriptors in this program cannot be read: a fault of its build.
    #[error("the reflection service cannot start: {0}")]
    Reflection(#[from] tonic_reflection::server::Error),
}

/// The server for clients.
#[derive(Debug)]
pub struct Server;

impl Server {
    /// Opens the port, so that its number is known; nobody is answered yet.
    ///
    /// # Errors
    /// When a lock is missing or the address cannot be had.
    // Not async for what it does, but for where it must be done: on a runtime.
    pub async fn bind(listen: Listen) -> Result<Bound, BindError> {
        listen.check()?;
        let mut builder = transport::Server::builder();
        if let Some(tls) = &listen.tls {
            let identity = Identity::from_pem(&tls.cert_pem, &tls.key_pem);
            let config = ServerTlsConfig::new().identity(identity);
            let config = config.timeout(Duration::from_secs(10));
            let built = builder.tls_config(config);
            builder = built.map_err(|error| BindError::Tls(with_source(&error)))?;
        }
        let of = |error| BindError::Address {
            address: listen.address,
            error,
        };
        let connections = Connections::listen(listen.address).map_err(of)?;
        let local_addr = connections.local_addr().map_err(of)?;
        if listen.is_exposed() {
            let line = "=".repeat(72);
            tracing::warn!(
                "{line}\nINSECURE: anybody who reaches {local_addr} can run code on this machine, \
                 because `insecure` is set\n{line}"
            );
        }
        Ok(Bound {
            listen,
            builder,
            connections,
            local_addr,
        })
    }
}

/// An open port.
pub struct Bound {
    listen: Listen,
    builder: transport::Server,
    connections: Connections,
    local_addr: SocketAddr,
}

impl Bound {
    /// Where it listens.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// `http` or `https`.
    #[must_use]
    pub fn scheme(&self) -> &'static str {
        match self.listen.tls {
            Some(_) => "https",
            None => "http",
        }
    }

    /// Serves clients until `shutdown` is done; streams then end with a code that makes clients go
    /// on elsewhere. `others` are served too, without asking for the client token.
    ///
    /// # Errors
    /// When the network fails.
    pub async fn serve(
        self,
        api: Api,
        others: Routes,
        shutdown: impl Future<Output = ()> + Send,
    ) -> Result<(), ServeError> {
        let reporter = HealthReporter::new();
        let health = api.health(reporter.clone());
        health.begin().await;
        let end = api.end();
        let builder = settings(self.builder, age(&*api.host()));
        let routes = routes(others, api, reporter, self.listen.token)?;
        let ended = end.clone();
        let serving =
            builder.serve_with_incoming_shutdown(routes.prepare(), self.connections, async move {
                ended.cancelled().await
            });
        let shut_down = async {
            shutdown.await;
            end.cancel();
            tokio::time::sleep(GRACE).await;
        };
        tokio::select! {
            biased;
            ended = serving => Ok(ended?),
            () = health.keep() => Ok(()),
            () = shut_down => Ok(()),
        }
    }
}

fn settings(builder: transport::Server, age: Duration) -> transport::Server {
    builder
        .max_concurrent_streams(128)
        .concurrency_limit_per_connection(64)
        .load_shed(true)
        .timeout(BACKSTOP)
        .http2_max_pending_accept_reset_streams(Some(20))
        .http2_max_local_error_reset_streams(Some(64))
        .http2_max_header_list_size(16 << 10)
        .max_frame_size(16 << 10)
        .http2_keepalive_interval(Some(Duration::from_secs(30)))
        .http2_keepalive_timeout(Some(Duration::from_secs(10)))
        // Without `max_connection_age_grace`: with it, tonic 0.14 cuts the connection instead of
        // asking the client to leave. Streams end by themselves at this age.
        .max_connection_age(age)
}

/// Engines that start together do not send their clients away together.
fn age(host: &dyn Host) -> Duration {
    let random = host.fresh_id().as_u128() as u64;
    AGE.mul_f64(0.9 + 0.2 * (random % 1_000) as f64 / 1_000.0)
}

fn routes(
    others: Routes,
    api: Api,
    reporter: HealthReporter,
    token: Option<String>,
) -> Result<Routes, tonic_reflection::server::Error> {
    let gate = Gate(token);
    let service = FluxServiceServer::new(api)
        .max_decoding_message_size(LONGEST_REQUEST)
        .max_encoding_message_size(LONGEST_ANSWER);
    let health = tonic_health::server::HealthService::from_health_reporter(reporter);
    let health = tonic_health::pb::health_server::HealthServer::new(health);
    let (v1, v1alpha) = (reflection().build_v1()?, reflection().build_v1alpha()?);
    Ok(others
        .add_service(InterceptedService::new(service, gate.clone()))
        .add_service(InterceptedService::new(v1, gate.clone()))
        .add_service(InterceptedService::new(v1alpha, gate))
        .add_service(health.max_decoding_message_size(LONGEST_REQUEST)))
}

fn reflection() -> Builder<'static> {
    Builder::configure()
        .register_encoded_file_descriptor_set(flux_proto::DESCRIPTORS)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .with_service_name(SERVICE_NAME)
        .with_service_name("grpc.health.v1.Health")
        .with_service_name("grpc.reflection.v1.ServerReflection")
        .with_service_name("grpc.reflection.v1alpha.ServerReflection")
}

fn with_source(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {}", with_source(source)),
        None => error.to_string(),
    }
}
