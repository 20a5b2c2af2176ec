//! Throttles: setting them, and who holds their slots.

use std::collections::BTreeMap;

use diesel::sql_types::{BigInt, Nullable, Text};
use flux_core::ports::throttles::ThrottleRecord;
use flux_core::throttle::{Limits, Scope, Throttle};

use super::Conn;
use crate::codec::At;
use crate::error::Fail;
use crate::sql::sql;

/// Waiting branches are counted up to here.
const MAX_COUNTED: i64 = 10_000;

pub(crate) const ALL: &str = "\
    SELECT namespace, name, per_cluster, per_engine FROM throttle ORDER BY namespace, name";
pub(crate) const PUT: &str = "\
    INSERT INTO throttle (namespace, name, per_cluster, per_engine) VALUES (?, ?, ?, ?) \
    ON CONFLICT (namespace, name) DO UPDATE \
        SET per_cluster = excluded.per_cluster, per_engine = excluded.per_engine";
pub(crate) const REMOVE: &str = "DELETE FROM throttle WHERE namespace = ? AND name = ?";
/// What runs in a scope takes slots, too. Values: namespace, namespace, name, name.
pub(crate) const OCCUPY: &str = "\
    UPDATE branch SET lane = ( \
        SELECT run.namespace || '/' || run.name FROM run WHERE run.id = branch.run_id) \
    WHERE owner IS NOT NULL AND lane IS NULL AND ? = ( \
        SELECT run.namespace FROM run WHERE run.id = branch.run_id) \
    AND (? = '' OR ? = (SELECT run.name FROM run WHERE run.id = branch.run_id))";
pub(crate) const HOLDERS: &str = "\
    SELECT branch.lane, member.name, count(*) \
    FROM branch LEFT JOIN member ON member.incarnation = branch.owner \
    WHERE branch.state = 1 AND branch.lane IS NOT NULL AND branch.lane > '' GROUP BY 1, 2";
/// Lanes with ready branches, of every pool. Value: limit.
pub(crate) const WAITING: &str = "\
    SELECT lane, count(*) FROM ( \
        SELECT lane FROM branch WHERE state = 0 AND lane IS NOT NULL AND pool >= '' LIMIT ?) AS held \
    GROUP BY lane";

/// Sets or removes the throttle of a scope.
pub(crate) async fn put(conn: &mut Conn, throttle: &Throttle) -> Result<(), Fail> {
    let scope = &throttle.scope;
    let name = scope.name.as_deref().unwrap_or_default();
    if throttle.limits.is_none() {
        let remove = sql(REMOVE).text(&scope.namespace).text(name);
        remove.execute(conn).await?;
        return Ok(());
    }
    sql(PUT)
        .text(&scope.namespace)
        .text(name)
        .int(throttle.limits.cluster.map(i64::from))
        .int(throttle.limits.engine.map(i64::from))
        .execute(conn)
        .await?;
    sql(OCCUPY)
        .text(&scope.namespace)
        .text(name)
        .text(name)
        .execute(conn)
        .await?;
    Ok(())
}

/// The throttles that a statement selects.
pub(crate) async fn throttles(
    conn: &mut Conn,
    statement: &'static str,
) -> Result<Vec<Throttle>, Fail> {
    let rows: Vec<(String, String, Option<i64>, Option<i64>)> = sql(statement)
        .rows::<(Text, Text, Nullable<BigInt>, Nullable<BigInt>)>()
        .load(conn)
        .await?;
    rows.into_iter()
        .map(|(namespace, name, cluster, engine)| {
            let at = At {
                table: "throttle",
                row: &format!("{namespace}/{name}"),
            };
            let limit =
                |column, limit: Option<i64>| limit.map(|limit| at.small(column, limit)).transpose();
            Ok(Throttle {
                limits: Limits {
                    cluster: limit("per_cluster", cluster)?,
                    engine: limit("per_engine", engine)?,
                },
                scope: Scope {
                    namespace,
                    name: (!name.is_empty()).then_some(name),
                },
            })
        })
        .collect()
}

/// All throttles, with the use that is made of them.
pub(crate) async fn records(conn: &mut Conn) -> Result<Vec<ThrottleRecord>, Fail> {
    let throttles = throttles(conn, ALL).await?;
    if throttles.is_empty() {
        return Ok(Vec::new());
    }
    let holders: Vec<(String, Option<String>, i64)> = sql(HOLDERS)
        .rows::<(Text, Nullable<Text>, BigInt)>()
        .load(conn)
        .await?;
    let waiting: Vec<(String, i64)> = sql(WAITING)
        .int(MAX_COUNTED)
        .rows::<(Text, BigInt)>()
        .load(conn)
        .await?;
    let record = |throttle: Throttle| {
        let mut held: BTreeMap<String, u32> = BTreeMap::new();
        for (lane, engine, count) in &holders {
            if throttle.scope.holds_lane(lane) {
                let engine = engine.clone().unwrap_or_default();
                let sum = held.entry(engine).or_default();
                *sum = sum.saturating_add(u32::try_from(*count).unwrap_or(u32::MAX));
            }
        }
        let of_scope = waiting.iter();
        let of_scope = of_scope.filter(|(lane, _)| throttle.scope.holds_lane(lane));
        ThrottleRecord {
            waiting: of_scope
                .map(|(_, count)| u32::try_from(*count).unwrap_or(u32::MAX))
                .fold(0, u32::saturating_add),
            holders: held.into_iter().collect(),
            throttle,
        }
    };
    Ok(throttles.into_iter().map(record).collect())
}
