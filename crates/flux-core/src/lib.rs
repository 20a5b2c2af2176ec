//! The rules of Flux: pure, without input or output, runtime or clock.

pub mod clock;
pub mod ids;
pub mod ownership;
pub mod ports;
pub mod time_expression;
