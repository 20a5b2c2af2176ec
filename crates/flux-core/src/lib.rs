//! flux-core
pub mod expr;
pub mod value;
