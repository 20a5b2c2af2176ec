//! Every statement finds its rows by an index, in an empty file and in a full one, with and
//! without statistics.

use std::collections::BTreeMap;

use diesel::connection::SimpleConnection;
use diesel::sql_types::Text;
use diesel::{QueryableByName, RunQueryDsl, SqliteConnection};

use super::conn::connect;
use super::shared::statements::GROWING;
use super::{batch, dialect, open, shared};

fn statements() -> BTreeMap<&'static str, String> {
    let own = [
        ("promote", dialect::PROMOTE_DUE),
        ("claim", dialect::CLAIM_READY),
        ("taker", dialect::TAKER),
        ("claim past the throttled", dialect::CLAIM_FREE),
        ("claim from a lane", dialect::CLAIM_LANE),
        ("divert", dialect::DIVERT),
        ("alive", dialect::ALIVE),
        ("run of claim", batch::RUN_OF_CLAIM),
        ("free", dialect::FREE),
    ];
    let mut all = shared::statements::statements();
    all.extend(own.map(|(name, text)| (name, text.to_owned())));
    all
}

#[derive(QueryableByName)]
struct Line {
    #[diesel(sql_type = Text)]
    detail: String,
}

fn plan(conn: &mut SqliteConnection, text: &str) -> Vec<String> {
    let lines = diesel::sql_query(format!("EXPLAIN QUERY PLAN {text}")).load::<Line>(conn);
    let lines = lines.unwrap_or_else(|error| panic!("{text}: {error}"));
    lines.into_iter().map(|line| line.detail).collect()
}

/// The lines that read a whole growing table. A list of runs goes down its table by number and
/// stops at its limit: that is a search.
fn scans(plan: &[String]) -> Vec<&String> {
    let table = |line: &str| -> Option<String> {
        let rest = line.strip_prefix("SCAN ")?;
        rest.split(' ').next().map(str::to_owned)
    };
    let growing = |line: &&String| table(line).is_some_and(|t| GROWING.contains(&t.as_str()));
    plan.iter().filter(growing).collect()
}

/// Twenty thousand runs that have ended and two thousand that have not, as a busy file has them.
const FILL: &str = "
    INSERT INTO definition (chart, namespace, name, version, source, deployed_at)
        VALUES ('c', 'ns', 'wf', '1', 's', 0);
    INSERT INTO member WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 5)
        SELECT randomblob(16), 'engine', 1, 1, 0, 1, 1, 1, 'host', 1, '0', '', 1, '' FROM n;
    INSERT INTO run (id, chart, namespace, name, version, state, input, started_at, ended_at,
            attached, pool, priority)
        WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 22000)
        SELECT randomblob(16), 'c', 'ns', 'wf', '1', iif(i > 20000, 0, 6), '{}', i,
            iif(i > 20000, NULL, i), 0, '', 0 FROM n;
    INSERT INTO branch (id, run_id, idx, root, state, owner, epoch, commit_no, lost, priority,
            pool, due_at, signals_after, node, created_at, updated_at, memory)
        SELECT randomblob(16), id, 0, 1, seq % 3,
            iif(seq % 3 = 1, (SELECT min(incarnation) FROM member), NULL),
            1, 1, 0, 0, '', seq, iif(seq % 3 = 2, 0, NULL), '/', 1, 1, '{}'
        FROM run WHERE state = 0;
    INSERT INTO ended_branch (run_id, id, idx, root, state, epoch, commit_no, lost, node,
            created_at, updated_at)
        SELECT id, randomblob(16), 0, 1, 5, 1, 1, 0, '/', 1, 1 FROM run WHERE state = 6;
    INSERT INTO history SELECT run_id, id, 1, 1, 'engine', 1, '/', '[]' FROM ended_branch;
    INSERT INTO takeover SELECT run_id, id, 1, 1, randomblob(16), 'engine', 1, '/', '[]'
        FROM ended_branch WHERE idx = 0 LIMIT 500;
    INSERT INTO signal (run_id, kind, json) SELECT run_id, 'kind', '{}' FROM branch;
    INSERT INTO inbox SELECT run_id, 'source', hex(id) FROM branch;
    INSERT INTO subscription SELECT 'kind', run_id FROM branch;
    INSERT INTO arrival SELECT run_id, id, 0, 1, '{}', NULL FROM branch;
";

#[test]
fn no_statement_reads_a_growing_table_from_end_to_end() {
    let (_folder, mut conn) = file();
    let mut found = Vec::new();
    for (state, change) in [("empty", ""), ("full", FILL), ("analysed", "ANALYZE")] {
        conn.batch_execute(change).expect("the change is right");
        for (name, text) in statements() {
            let plan = plan(&mut conn, &text);
            if !scans(&plan).is_empty() {
                found.push(format!("{state}: {name}: {plan:#?}"));
            }
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

/// The claim must not sort what is ready: it takes the first of the index.
#[test]
fn hot_statements_do_not_sort() {
    let (_folder, mut conn) = file();
    for change in ["", FILL, "ANALYZE"] {
        conn.batch_execute(change).expect("the change is right");
        for name in [
            "claim",
            "claim past the throttled",
            "claim from a lane",
            "divert",
            "common queue",
            "queue of a lane",
            "promote",
            "signals",
            "arrivals",
            "list",
            "list open",
        ] {
            let plan = plan(&mut conn, &statements()[name]);
            let sorts = plan.iter().any(|line| line.contains("TEMP B-TREE"));
            assert!(!sorts, "{name}: {plan:#?}");
        }
    }
}

/// Runs that have ended are most of a file, and nobody who asks for open ones waits for them.
#[test]
fn open_runs_are_listed_without_reading_ended_ones() {
    let (_folder, mut conn) = file();
    for change in ["", FILL, "ANALYZE"] {
        conn.batch_execute(change).expect("the change is right");
        let plan = plan(&mut conn, &statements()["list open"]);
        let by_index = |line: &String| line.contains("INDEX run_open");
        assert!(plan.iter().any(by_index), "{plan:#?}");
    }
}

fn file() -> (tempfile::TempDir, SqliteConnection) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("flux.db");
    let busy = std::time::Duration::from_secs(5);
    open::open(&path, busy).expect("a new file can be opened");
    let conn = connect(&path, busy).expect("it can be opened");
    (folder, conn)
}
