//! flux-core
