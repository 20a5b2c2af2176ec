//! Every statement finds its rows by an index, in an empty file and in a full one, with and
//! without statistics.

use std::collections::BTreeMap;

use diesel::connection::SimpleConnection;
use diesel::sql_types::Text;
use diesel::{QueryableByName, RunQueryDsl, SqliteConnection};
use flux_core::branch::RunState;

use super::conn::connect;
use super::shared::queries::{
    branches, cancel, claim, commit, definitions, end, history, members, release, runs, signal,
    submit, takeover, wait,
};
use super::{batch, dialect, open};

/// Tables that grow with the work: none may be read from one end to the other.
const GROWING: [&str; 9] = [
    "branch",
    "run",
    "history",
    "ended_branch",
    "takeover",
    "signal",
    "arrival",
    "inbox",
    "subscription",
];

fn statements() -> BTreeMap<&'static str, String> {
    let mut all: BTreeMap<&'static str, String> = BTreeMap::new();
    let fixed = [
        ("promote", dialect::PROMOTE_DUE),
        ("claim", dialect::CLAIM_READY),
        ("alive", dialect::ALIVE),
        ("next waiting", claim::NEXT_WAITING),
        ("run of claim", batch::RUN_OF_CLAIM),
        ("signals", claim::SIGNALS_AFTER),
        ("arrivals", claim::ARRIVALS),
        ("suspects", claim::SUSPECTS),
        ("leave suspect", claim::LEAVE),
        ("guard", commit::GUARD),
        ("guard of an end", commit::GUARD_END),
        ("last commit", commit::LAST_COMMIT),
        ("history row", commit::INSERT_HISTORY),
        ("wake signalled", wait::WAKE_SIGNALLED),
        ("wake joined", wait::WAKE_JOINED),
        ("child", wait::INSERT_CHILD),
        ("ended branch", end::INSERT_ENDED),
        ("close run", end::CLOSE_RUN),
        ("run of branch", end::RUN_OF_BRANCH),
        ("schedule after", end::SCHEDULE_AFTER),
        ("clear 0", end::CLEAR[0]),
        ("clear 1", end::CLEAR[1]),
        ("clear 2", end::CLEAR[2]),
        ("clear 3", end::CLEAR[3]),
        ("remove children", cancel::REMOVE_CHILDREN),
        ("remove of run", cancel::REMOVE_OF_RUN),
        ("child runs", cancel::CHILD_RUNS),
        ("cut loose 0", cancel::CUT_LOOSE[0]),
        ("cut loose 1", cancel::CUT_LOOSE[1]),
        ("forget arrivals", cancel::FORGET_ARRIVALS),
        ("release", release::RELEASE),
        ("release ready", release::RELEASE_READY),
        ("owned", branches::OWNED),
        ("branches of run", branches::OF_RUN),
        ("history of run", history::OF_RUN),
        ("takeovers", history::TAKEOVERS),
        ("free", dialect::FREE),
        ("record takeover", takeover::RECORD),
        ("count takeovers", takeover::COUNT),
        ("remove poisoned", takeover::REMOVE),
        ("fan out", signal::FAN_OUT_INBOX),
        ("inbox", signal::INSERT_INBOX),
        ("subscription", submit::INSERT_SUBSCRIPTION),
        ("arrival", end::INSERT_ARRIVAL),
        ("insert run", submit::INSERT_RUN),
        ("insert root", submit::INSERT_ROOT),
        ("request", submit::RUN_OF_REQUEST),
        ("defined", submit::DEFINED),
        ("state of run", signal::STATE_OF_RUN),
        ("consume", signal::CONSUME),
        ("insert signal", signal::INSERT_SIGNAL),
        ("purge", members::PURGE),
        ("known", members::KNOWN),
        ("leave", members::LEAVE),
        ("schedules", definitions::SCHEDULES),
        ("fire", definitions::FIRE),
    ];
    all.extend(fixed.map(|(name, text)| (name, text.to_owned())));
    all.insert("next ready", claim::NEXT_READY.to_owned());
    all.insert("members", members::members_text());
    all.insert("heartbeat", members::heartbeat_text());
    all.insert("show run", format!("{} WHERE id = ?", runs::SHOWN));
    all.insert("list", runs::list_text(&[]));
    all.insert("list ended", runs::list_text(&[RunState::Faulted]));
    all.insert("list open", runs::list_text(&[RunState::Running]));
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
        SELECT randomblob(16), 'engine', 1, 1, 0, 1, 1, 1, 'host', 1, '0', '', 1 FROM n;
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
