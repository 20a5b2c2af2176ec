//! What the store can do, as free functions on a connection; the caller opens the transaction.

use super::{Conn, Id, RawId, batch, dialect, lock};

pub(crate) mod branches;
pub(crate) mod cancel;
pub(crate) mod claim;
pub(crate) mod commit;
pub(crate) mod definitions;
pub(crate) mod effects;
pub(crate) mod end;
pub(crate) mod history;
pub(crate) mod lanes;
pub(crate) mod members;
pub(crate) mod operations;
pub(crate) mod outlook;
pub(crate) mod prune;
pub(crate) mod release;
pub(crate) mod runs;
pub(crate) mod signal;
pub(crate) mod status;
pub(crate) mod submit;
pub(crate) mod takeover;
pub(crate) mod throttles;
pub(crate) mod wait;
