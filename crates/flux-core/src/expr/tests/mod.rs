//! Tests of the expression layer.

mod attacks;
mod fuzz;
mod refusals;
mod semantics;
