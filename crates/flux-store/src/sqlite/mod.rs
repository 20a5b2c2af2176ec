//! SQLite: connections, the writer and reader threads, opening a file.

mod conn;
pub(crate) mod dialect;
mod maintain;
mod open;
#[cfg(test)]
mod plans;
mod reader;
#[cfg(test)]
mod schema;
mod store;
mod writer;

pub(crate) use conn::Conn;
pub use maintain::{Status, backup, status};
pub use store::{Options, SqliteStore};
pub use writer::Stats;
