//! Engines that talk: load reports and nudges over gRPC.
//!
//! ```text
//!   engine ──Peers──► Network ── reporter: the own load, when it changes and every second
//!                        │        dialer: a link to every member that has none, newer to older first
//!                        │ links  service: links that others dial
//!                        ▼
//!                 one stream for each other engine: prove, then report and nudge both ways
//! ```
//!
//! Nothing here decides who owns what: a peer that lies or cannot be reached costs balance, and that is
//! all. It knows neither the store nor how the load is judged.

mod dial;
mod link;
mod network;
mod proof;
mod service;

pub use network::{Config, Network};
