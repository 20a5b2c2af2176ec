//! The other engines, as far as they can be reached over the network.
//!
//! Nothing here is needed: when it is switched off, blocked or lies, work is spread worse, and that is
//! all. Who owns what is decided in the store.

use std::sync::Arc;

use super::members::Member;
use crate::balance::{Load, Report};
use crate::ids::Incarnation;

/// What the network asks of the engine that it speaks for.
pub trait Local: Send + Sync {
    /// Its load now.
    fn load(&self) -> Load;

    /// Another engine says that work became ready.
    fn nudged(&self);
}

/// The network.
pub trait Peers: Send + Sync {
    /// From now on it speaks for this incarnation of `engine`.
    fn serve(&self, me: Incarnation, engine: Arc<dyn Local>);

    /// Who the members of the cluster are now, and where they are reached.
    fn meet(&self, members: &[Member]);

    /// The load of this engine has changed.
    fn changed(&self);

    /// Tells the others that about `ready` branches became ready.
    fn nudge(&self, ready: u32);

    /// The latest report of each engine that was heard of and shares the common pool with this one; of
    /// each that is of the same private pool.
    fn reports(&self) -> Vec<PeerReport>;
}

/// What another engine told of its load.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PeerReport {
    /// Its load.
    pub report: Report,
    /// Whether its labels are those of this engine, so that both take the same pinned work.
    pub is_alike: bool,
}

/// No network: nobody is heard of.
#[derive(Clone, Copy, Debug, Default)]
pub struct Alone;

impl Peers for Alone {
    fn serve(&self, _me: Incarnation, _engine: Arc<dyn Local>) {}
    fn meet(&self, _members: &[Member]) {}
    fn changed(&self) {}
    fn nudge(&self, _ready: u32) {}
    fn reports(&self) -> Vec<PeerReport> {
        Vec::new()
    }
}
