//! The stores through their ports, on real files and servers.

mod busy;
mod connect;
mod differential;
mod locked;
mod opening;
mod postgres;
mod postgres_opening;
mod races;
mod sqlite;
mod support;
