//! What there may be to do.

use diesel::sql_types::{BigInt, Bool, Nullable, Text};
use flux_core::clock::Timestamp;
use flux_core::labels::{is_private, serves};
use flux_core::ports::branches::Outlook;

use super::Conn;
use crate::codec::{pool, pool_name, time};
use crate::error::Fail;
use crate::sql::{sql, urgency};

/// Whether something is ready or due in each pool that may be served, what is due next, and when the next
/// schedule is. It runs outside any transaction, and without settings, so it names the schema itself; and
/// each of its parts is the first row of an index in that index's order, which is cheap by any plan.
/// Values: now, now, pool, whether others are served too.
pub(crate) fn text(schema: &str) -> String {
    let ready = urgency!();
    format!(
        "SELECT place.pool, \
            ((SELECT {ready} FROM {schema}branch WHERE branch.pool = place.pool AND state = 0 \
                AND lane IS NULL ORDER BY {ready} LIMIT 1) IS NOT NULL) \
            OR ((SELECT {ready} FROM {schema}branch WHERE branch.pool = place.pool AND state = 0 \
                AND lane IS NOT NULL ORDER BY lane, {ready} LIMIT 1) IS NOT NULL) \
            OR ((SELECT due_at FROM {schema}branch WHERE branch.pool = place.pool AND state = 2 \
                AND due_at <= ? ORDER BY due_at LIMIT 1) IS NOT NULL), \
            (SELECT due_at FROM {schema}branch WHERE branch.pool = place.pool AND state = 2 \
                AND due_at > ? ORDER BY due_at LIMIT 1), \
            (SELECT min(due_at) FROM {schema}schedule) \
        FROM (SELECT CAST(? AS TEXT) AS pool \
            UNION ALL SELECT pool FROM {schema}requirement WHERE ? = 1) AS place"
    )
}

pub(crate) async fn outlook(
    conn: &mut Conn,
    own: Option<&str>,
    now: Timestamp,
) -> Result<Outlook, Fail> {
    let now = now.as_micros();
    let has_labels = own.is_some() && !is_private(own);
    let place = if has_labels { "" } else { pool(own) };
    let rows: Vec<(String, bool, Option<i64>, Option<i64>)> = sql(text(&conn.schema()))
        .int(now)
        .int(now)
        .text(place)
        .int(i64::from(has_labels))
        .rows::<(Text, Bool, Nullable<BigInt>, Nullable<BigInt>)>()
        .load(conn)
        .await?;
    let mut outlook = Outlook::default();
    for (place, ready, due, firing) in rows {
        outlook.next_firing = firing.map(time);
        if serves(own, pool_name(place).as_deref()) {
            outlook.ready |= ready;
            let due = due.map(time);
            outlook.next_due = [outlook.next_due, due].into_iter().flatten().min();
        }
    }
    Ok(outlook)
}
