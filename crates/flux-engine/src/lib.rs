//! flux-engine
