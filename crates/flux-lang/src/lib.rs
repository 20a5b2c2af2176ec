//! flux-lang
