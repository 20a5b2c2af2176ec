//! How much is in the store.

use super::Conn;
use super::runs::SHOWN;
use crate::codec::At;
use crate::counts::Counts;
use crate::error::Fail;
use crate::sql::sql;
use diesel::sql_types::{BigInt, Integer};

pub(crate) const BRANCHES: &str = "\
    SELECT state, count(*) FROM branch GROUP BY state \
    UNION ALL SELECT state, count(*) FROM ended_branch GROUP BY state ORDER BY 1";
pub(crate) const MEMBERS: &str = "SELECT state, count(*) FROM member GROUP BY state ORDER BY 1";

pub(crate) async fn counts(conn: &mut Conn) -> Result<Counts, Fail> {
    let at = |table| At {
        table,
        row: &"count",
    };
    let runs = format!("SELECT shown, count(*) FROM ({SHOWN}) AS runs GROUP BY shown ORDER BY 1");
    let mut counts = Counts::default();
    for (state, count) in by_state(conn, runs).await? {
        counts.runs.push((at("run").run_state(state)?, count));
    }
    for (state, count) in by_state(conn, BRANCHES.to_owned()).await? {
        let state = at("branch").branch_state(state)?;
        counts.branches.push((state, count));
    }
    for (state, count) in by_state(conn, MEMBERS.to_owned()).await? {
        let state = at("member").member_state(state)?;
        counts.members.push((state, count));
    }
    Ok(counts)
}

async fn by_state(conn: &mut Conn, text: String) -> Result<Vec<(i32, u64)>, Fail> {
    let rows: Vec<(i32, i64)> = sql(text).rows::<(Integer, BigInt)>().load(conn).await?;
    let number = |(state, count): (i32, i64)| (state, u64::try_from(count).unwrap_or_default());
    Ok(rows.into_iter().map(number).collect())
}
