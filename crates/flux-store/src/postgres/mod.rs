//! What belongs to PostgreSQL alone.

pub mod address;
pub mod connect;
pub mod identity;
mod tls;
