//! From a URL to an open connection, with real servers: who is let in, how it is encrypted, which
//! host is taken, what a session is like, and what works behind a pooler.

mod fixture;
mod hosts;
mod pooler;
mod refusals;
mod sessions;
mod tls;
