//! The command line as people and programs use it: the real binary, one process per command.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod bench;
mod clients;
mod commands;
mod examples;
mod home;
mod network;
mod operations;
mod server;
