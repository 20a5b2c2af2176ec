//! Messages and stubs of the gRPC interfaces, generated from `proto/`.
//!
//! The generated files are committed, so that nobody needs a compiler for them; a test says when they
//! are out of date, and `FLUX_REGENERATE=1 cargo test -p flux-proto` writes them anew.

/// What clients ask of a cluster.
pub mod v1 {
    #![allow(clippy::all, clippy::pedantic, missing_docs, unused_qualifications)]
    include!("generated/flux.v1.rs");
}

/// What engines tell each other.
pub mod peer {
    /// The first version.
    pub mod v1 {
        #![allow(clippy::all, clippy::pedantic, missing_docs, unused_qualifications)]
        include!("generated/flux.peer.v1.rs");
    }
}

pub use prost_types::{Duration, Timestamp};

/// A serialized `FileDescriptorSet` of all of them, for reflection.
pub const DESCRIPTORS: &[u8] = include_bytes!("generated/descriptors.bin");
