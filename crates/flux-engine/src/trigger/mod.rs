//! What branches wait for outside the engine, one file per trigger.

pub mod file;
