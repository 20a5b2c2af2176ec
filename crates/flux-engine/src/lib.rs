//! Runs branches: claims them from the store, walks them through their charts, performs their
//! actions, commits at transaction breaks, gives them back on a drain.
//!
//! The binary starts an [`Engine`] and hands it the ports; nothing here knows SQL, the definition
//! language, or how engines talk to each other.
//!
//! ```text
//!   lookout
//!      ▼ nudge
//!   claimer ──claims──► worker ──► flux_core::walk ──► action / trigger
//!      ▲ nudge             │ commit
//!      └───────────────────┴──────► ports (flux-store)        membership (flux-failover)
//! ```

pub mod action;
mod admission;
mod charts;
mod claimer;
mod config;
mod engine;
mod event;
mod lookout;
mod monitor;
mod peers;
pub mod runner;
mod running;
mod schedules;
mod shop;
mod submit;
pub mod trigger;
mod watch;
mod worker;

pub use charts::{Charts, Missing};
pub use config::{Config, MembersFactory, Stores};
pub use engine::{Engine, Handle, StartError};
pub use event::EngineEvent;
pub use monitor::Config as MonitorConfig;
pub use submit::{RunOptions, deploy, new_run};
