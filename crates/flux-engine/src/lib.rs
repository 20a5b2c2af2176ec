//! flux-engine

pub mod action;
pub mod trigger;
