//! Keeping others out: a transaction that writes is alone in the file from its first statement on.

use uuid::Uuid;

use super::conn::Conn;
use super::shared::writer::Write;
use crate::error::Fail;

/// Whether others can be in the way of one write and not of all.
pub(crate) const ROWS: bool = false;

/// What these writes change; for each whether it may go on.
pub(crate) async fn rows(
    _conn: &mut Conn,
    writes: &[&Write],
    _every: bool,
) -> Result<Vec<bool>, Fail> {
    Ok(vec![true; writes.len()])
}

/// The list of the members.
pub(crate) async fn cluster(_conn: &mut Conn) -> Result<(), Fail> {
    Ok(())
}

/// A run, and what belongs to it.
pub(crate) async fn run(_conn: &mut Conn, _run: Uuid) -> Result<(), Fail> {
    Ok(())
}

/// A member, and what it claims.
pub(crate) async fn member(_conn: &mut Conn, _member: Uuid) -> Result<(), Fail> {
    Ok(())
}
