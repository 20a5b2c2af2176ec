//! Every statement finds its rows by an index: in empty tables, in tables of a million rows, with
//! statistics that are right, stale or missing. The plans are the generic ones, which a prepared
//! statement keeps while its tables grow.

use std::collections::BTreeMap;

use diesel::QueryableByName;
use diesel::sql_types::Text;
use diesel_async::{AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};
use flux_testkit::postgres::Server;

use super::address::Address;
use super::batch::{self, advance, finish, submit as submissions};
use super::connect::{Session, connect};
use super::opener::{Opener, PostgresOptions};
use super::shared::statements::GROWING;
use super::{dialect, open, shared};

/// A million branches and runs: a few ready, waiting or owned, as in a cluster with a backlog.
const FILL: &str = "\
    INSERT INTO run (id, started_at, ended_at, state, attached, priority, parent_branch, chart, \
        namespace, name, version, pool, input) \
    SELECT gen_random_uuid(), n, CASE WHEN n % 10 <> 0 THEN n END, \
        CASE WHEN n % 10 <> 0 THEN 6 ELSE 0 END, 0, 0, NULL, 'c', 'default', 'w', '1', '', '{}' \
    FROM generate_series(1, 1000000) AS n; \
    INSERT INTO branch (id, run_id, owner, epoch, commit_no, lost, due_at, created_at, updated_at, \
        state, priority, idx, root, pool, node, memory) \
    SELECT gen_random_uuid(), gen_random_uuid(), \
        CASE WHEN n % 3 = 1 THEN md5('e' || n % 35)::uuid END, 1, 1, 0, n, n, n, n % 3, n % 5, 0, 1, \
        '', '/do/0', '{}' \
    FROM generate_series(1, 1000000) AS n; \
    INSERT INTO ended_branch (run_id, id, epoch, commit_no, lost, created_at, updated_at, idx, \
        root, state, node) \
    SELECT md5('r' || n)::uuid, md5('x' || n)::uuid, 1, 3, 0, n, n, 0, 1, 5, '/' \
    FROM generate_series(1, 50000) AS n; \
    INSERT INTO history (run_id, branch_id, commit_no, epoch, at, engine, node, events) \
    SELECT md5('r' || n)::uuid, md5('x' || n)::uuid, 1, 1, n, 'e', '/', '[]' \
    FROM generate_series(1, 50000) AS n; \
    INSERT INTO signal (run_id, kind, json) \
    SELECT md5('r' || n)::uuid, 'k', '{}' FROM generate_series(1, 20000) AS n; \
    INSERT INTO inbox (run_id, source, event_id) \
    SELECT md5('r' || n)::uuid, 's', n::text FROM generate_series(1, 20000) AS n; \
    INSERT INTO subscription (kind, run_id) \
    SELECT 'k' || n % 1000, md5('r' || n)::uuid FROM generate_series(1, 20000) AS n; \
    INSERT INTO arrival (run_id, branch_id, idx, ok, outcome) \
    SELECT md5('r' || n)::uuid, md5('b' || n)::uuid, 0, 1, '{}' FROM generate_series(1, 20000) AS n; \
    INSERT INTO takeover (run_id, branch_id, incarnation, epoch, commit_no, at, engine, node, events) \
    SELECT md5('r' || n)::uuid, md5('b' || n)::uuid, md5('e' || n % 35)::uuid, 1, 1, n, 'e', '/', '[]' \
    FROM generate_series(1, 20000) AS n";

/// Types of the arrays that only a statement's use tells.
fn types(name: &str) -> &'static str {
    match name {
        "advance" => {
            "(uuid[], uuid[], bigint[], bigint[], uuid[], text[], text[], uuid[], text[], bigint[], \
                uuid[], uuid[])"
        }
        "finish" => {
            "(uuid[], uuid[], bigint[], bigint[], uuid[], text[], uuid[], text[], bigint[], \
                bigint[], text[], bigint[], text[], uuid[], uuid[], uuid[])"
        }
        "submissions" => {
            "(uuid[], text[], text[], text[], text[], text[], bigint[], text[], bigint[], text[], \
                text[], uuid[], text[], bigint[])"
        }
        _ if name.starts_with("list ") || name == "list" => {
            "(text, text, text, text, bigint, uuid, bigint)"
        }
        _ => "",
    }
}

fn statements() -> BTreeMap<&'static str, String> {
    let own = [
        ("promote", dialect::PROMOTE_DUE),
        ("claim", dialect::CLAIM_READY),
        ("claim past the throttled", dialect::CLAIM_FREE),
        ("claim from a lane", dialect::CLAIM_LANE),
        ("divert", dialect::DIVERT),
        ("alive", dialect::ALIVE),
        ("taker", dialect::TAKER),
        ("free", dialect::FREE),
        ("lock run", dialect::LOCK_RUN),
        ("lock runs", dialect::LOCK_RUNS),
        ("runs", dialect::RUNS),
        ("branches", dialect::BRANCHES),
        ("lock branches", dialect::LOCK_BRANCHES),
        ("waiting runs", dialect::WAITING_RUNS),
        ("listening runs", dialect::LISTENING_RUNS),
        ("runs of branches", dialect::RUNS_OF_BRANCHES),
        ("poisoned runs", dialect::POISONED_RUNS),
        ("runs of claim", batch::RUNS_OF_CLAIM),
        ("advance", advance::ADVANCE),
        ("finish", finish::FINISH),
        ("submissions", submissions::SUBMIT),
    ];
    let mut all = shared::statements::statements();
    all.extend(own.map(|(name, text)| (name, text.to_owned())));
    all
}

#[derive(QueryableByName)]
struct Line {
    #[diesel(sql_type = Text, column_name = "QUERY PLAN")]
    text: String,
}

struct Planner {
    schema: String,
    conn: AsyncPgConnection,
}

impl Planner {
    /// A schema of its own with empty tables.
    async fn new() -> Planner {
        let schema = format!("t{}", uuid::Uuid::now_v7().simple());
        let address: Address = Server::shared()
            .url()
            .parse()
            .expect("the address is right");
        let address = address.with_schema(&schema).expect("the name is right");
        let mut opener = Opener::new(&address, &PostgresOptions::default());
        open::open(&address, &mut opener).await.expect("it opens");
        let connected = connect(&address, &Session::default(), |_| Ok(())).await;
        let mut planner = Planner {
            schema,
            conn: connected.expect("it connects").conn,
        };
        planner
            .run(&format!("SET search_path = \"{}\"", planner.schema))
            .await;
        // The plans must be right before it has come by, too; filling is faster without a log.
        for table in GROWING {
            planner
                .run(&format!(
                    "ALTER TABLE {table} SET (autovacuum_enabled = off); ALTER TABLE {table} SET UNLOGGED"
                ))
                .await;
        }
        planner
            .run("SET plan_cache_mode = force_generic_plan")
            .await;
        // As every transaction of ours does.
        let prologue = Session::default().transaction_prologue(&planner.schema);
        assert!(prologue.contains("SET LOCAL enable_seqscan = off;"));
        planner.run("SET enable_seqscan = off").await;
        planner
    }

    async fn run(&mut self, text: &str) {
        self.conn
            .batch_execute(text)
            .await
            .unwrap_or_else(|error| panic!("{text}: {error}"));
    }

    /// The statements that read a growing table from one end to the other.
    async fn check(&mut self, when: &str) -> Vec<String> {
        let mut bad = Vec::new();
        for (name, text) in statements() {
            let plan = self.plan(name, &text, "COSTS OFF").await;
            for table in GROWING {
                let scan = |line: &&String| {
                    line.contains(&format!("Seq Scan on {table} "))
                        || line.ends_with(&format!("Seq Scan on {table}"))
                };
                if plan.iter().any(|line| scan(&line)) {
                    bad.push(format!(
                        "{when}: {name} scans {table}:\n{}",
                        plan.join("\n")
                    ));
                }
            }
        }
        bad.extend(self.wastes(when).await);
        bad
    }

    /// Whether the one statement that runs without our settings finds the first rows of indexes all the same.
    async fn looks_far(&mut self, when: &str) -> Vec<String> {
        self.run("SET enable_seqscan = on").await;
        let name = "outlook";
        let plan = self.plan(name, &statements()[name], "COSTS OFF").await;
        self.run("SET enable_seqscan = off").await;
        let is_bad = |line: &String| line.contains("Sort") || line.contains("Seq Scan on branch");
        let bad = plan.iter().any(is_bad);
        let text = format!("{when}: {name} looks at too much:\n{}", plan.join("\n"));
        bad.then_some(text).into_iter().collect()
    }

    /// The statements that sort what is ready instead of taking the first of an index.
    async fn sorts(&mut self) -> Vec<String> {
        let mut bad = Vec::new();
        for name in [
            "claim",
            "claim past the throttled",
            "claim from a lane",
            "divert",
            "common queue",
            "queue of a lane",
        ] {
            let plan = self.plan(name, &statements()[name], "COSTS OFF").await;
            if plan.iter().any(|line| line.contains("Sort")) {
                bad.push(format!("{name} sorts:\n{}", plan.join("\n")));
            }
        }
        bad
    }

    /// The hot statements that compare each element of an array with each row, or read an index in full
    /// because they fit its condition: all open runs, say, for each run that ends.
    async fn wastes(&mut self, when: &str) -> Vec<String> {
        let mut bad = Vec::new();
        for name in [
            "advance",
            "finish",
            "guard",
            "guard of a wait",
            "guard of an end",
            "close run",
            "child runs",
            "cut loose 1",
            "release",
            "release ready",
        ] {
            let on_arrays = ["advance", "finish"].contains(&name);
            if on_arrays {
                self.run("SET enable_nestloop = off").await;
            }
            let plan = self.plan(name, &statements()[name], "COSTS OFF").await;
            self.run("SET enable_nestloop = on").await;
            let is_bad = |line: &String| {
                let partial = ["branch_owned", "branch_ready", "branch_due", "run_open"];
                partial.iter().any(|index| line.contains(index))
                    || on_arrays && line.contains("Nested Loop")
            };
            if plan.iter().any(is_bad) {
                bad.push(format!("{when}: {name}:\n{}", plan.join("\n")));
            }
        }
        bad
    }

    async fn plan(&mut self, name: &str, text: &str, how: &str) -> Vec<String> {
        let count = text.matches('?').count();
        let mut parts = text.split('?');
        let mut numbered = parts.next().unwrap_or_default().to_owned();
        for (number, part) in parts.enumerate() {
            numbered.push_str(&format!("${}{part}", number + 1));
        }
        let nulls = vec!["NULL"; count].join(", ");
        let values = if count == 0 {
            String::new()
        } else {
            format!("({nulls})")
        };
        self.run(&format!("PREPARE planned{} AS {numbered}", types(name)))
            .await;
        let lines: Vec<Line> =
            diesel::sql_query(format!("EXPLAIN ({how}) EXECUTE planned{values}"))
                .load(&mut self.conn)
                .await
                .unwrap_or_else(|error| panic!("{name}: {error}"));
        self.run("DEALLOCATE planned").await;
        lines.into_iter().map(|line| line.text).collect()
    }
}

#[tokio::test]
async fn statements_use_indexes_whatever_the_statistics_say() {
    let mut planner = Planner::new().await;
    let mut bad = planner.check("empty").await;
    planner.run("ANALYZE").await;
    bad.extend(planner.check("empty and analysed").await);
    planner.run(FILL).await;
    bad.extend(planner.check("a million rows, analysed when empty").await);
    bad.extend(
        planner
            .looks_far("a million rows, analysed when empty")
            .await,
    );
    planner.run("ANALYZE").await;
    bad.extend(planner.looks_far("a million rows, analysed").await);
    bad.extend(planner.check("a million rows, analysed").await);
    bad.extend(planner.sorts().await);
    assert!(bad.is_empty(), "{} plans:\n{}", bad.len(), bad.join("\n\n"));
}

/// A scan that is discouraged is so expensive on paper that the server would compile the statement
/// first: a second of work, each time, for a table of five rows. Whether it can is the server's matter.
#[tokio::test]
async fn no_statement_is_compiled_before_it_runs() {
    let mut planner = Planner::new().await;
    let prologue = Session::default().transaction_prologue(&planner.schema);
    planner.run(&prologue).await;
    for (name, text) in statements() {
        let plan = planner.plan(name, &text, "COSTS").await;
        assert!(!plan.contains(&"JIT:".to_owned()), "{name}: {plan:#?}");
    }
}
