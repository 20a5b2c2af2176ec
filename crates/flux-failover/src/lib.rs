//! flux-failover
