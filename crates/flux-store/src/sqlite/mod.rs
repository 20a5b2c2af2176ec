//! SQLite: connections, the writer and reader threads, opening a file.

mod conn;
pub(crate) mod dialect;
mod maintain;
mod open;
mod reader;
mod store;
mod writer;

pub(crate) use conn::Conn;
pub use maintain::{Status, backup, status};
pub use store::{Options, SqliteStore};
pub use writer::Stats;
