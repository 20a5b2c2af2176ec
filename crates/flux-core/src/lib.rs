//! The rules of Flux, and nothing else: the compiled workflow ([`chart`]), the guarded expressions
//! ([`expr`]), the walk of a branch through its chart ([`walk`]), ownership and failover planning
//! ([`ownership`]), and the ports through which the other crates meet ([`ports`]).
//!
//! Pure by rule: no I/O, no runtime, no clock. Time and randomness are inputs.
//!
//! ```text
//!   flux-lang ──compiles text──► chart ──► walk ──effects──► flux-engine performs them
//!                                            ▲                  │
//!                                 ports ◄────┴── commits ───────┘  (flux-store implements ports)
//! ```

pub mod balance;
pub mod branch;
pub mod chart;
pub mod clock;
pub mod duration;
pub mod explain;
pub mod expr;
pub mod host;
pub mod ids;
pub mod labels;
pub mod ownership;
pub mod ports;
pub mod schedule;
pub mod throttle;
pub mod time_expression;
pub mod value;
pub mod walk;
