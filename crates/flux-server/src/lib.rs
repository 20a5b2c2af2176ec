//! Serves `flux.v1.FluxService` on the engine's port: what clients ask of the cluster.
//!
//! The binary binds a [`Server`], gives it an [`Api`] on the ports of the store, and serves until it
//! shuts down. Nothing here knows SQL or the definition language; what concerns the engine beside it
//! goes through [`Local`].
//!
//! ```text
//!   client ──► connections ──► locks (TLS, token) ──► service ──► ports (flux-core)
//!                                                        │
//!   probe ───► health, reflection                        └──► Local: nudge, drain, load
//! ```

mod check;
mod connections;
mod convert;
mod health;
mod listen;
mod local;
mod names;
mod refusal;
mod server;
mod service;
mod token;

pub use health::{LIVENESS, READINESS};
pub use listen::{Listen, Locked, SHORTEST_TOKEN, Tls, locks};
pub use local::{Local, Ports};
pub use server::{BindError, Bound, ServeError, Server};
pub use service::{Api, Handle};
/// Further services to host, such as that of engines among themselves.
pub use tonic::service::Routes;
