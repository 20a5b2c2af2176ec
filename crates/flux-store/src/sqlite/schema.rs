//! The schema that the migrations make is the one in `migrations/sqlite/schema.sql`, and each
//! migration can be taken back.

use diesel::sql_types::Text;
use diesel::{Connection, QueryableByName, RunQueryDsl, SqliteConnection};
use diesel_migrations::MigrationHarness;

use super::open::MIGRATIONS;

const COMMITTED: &str = include_str!("../../migrations/sqlite/schema.sql");

/// Set to write the file anew.
const ACCEPT: &str = "FLUX_ACCEPT_SCHEMA";

#[derive(QueryableByName)]
struct Object {
    #[diesel(sql_type = Text)]
    sql: String,
}

/// Every table and index of ours, by name.
fn schema(conn: &mut SqliteConnection) -> String {
    let objects = diesel::sql_query(
        "SELECT sql FROM sqlite_schema \
         WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%' AND name <> '__diesel_schema_migrations' \
         ORDER BY tbl_name, type DESC, name",
    );
    let objects = objects
        .load::<Object>(conn)
        .expect("the schema can be read");
    let text = objects.iter().map(|object| format!("{};\n", object.sql));
    text.collect()
}

fn empty() -> SqliteConnection {
    SqliteConnection::establish(":memory:").expect("memory can be opened")
}

#[test]
fn migrations_make_the_committed_schema() {
    let mut conn = empty();
    conn.run_pending_migrations(MIGRATIONS).expect("they run");
    let made = schema(&mut conn);
    if std::env::var_os(ACCEPT).is_some() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/migrations/sqlite/schema.sql");
        std::fs::write(path, made).expect("the file can be written");
        return;
    }
    assert_eq!(made, COMMITTED, "if this is meant, run it with {ACCEPT}=1");
}

#[test]
fn each_migration_can_be_taken_back() {
    let mut conn = empty();
    let mut before = vec![schema(&mut conn)];
    while conn.has_pending_migration(MIGRATIONS).expect("it is known") {
        let next = conn.run_next_migration(MIGRATIONS);
        next.expect("it runs");
        before.push(schema(&mut conn));
    }
    assert!(before.len() > 1, "there is no migration");
    let newest = before.pop();
    while let Some(expected) = before.pop() {
        let last = conn.revert_last_migration(MIGRATIONS);
        last.expect("it can be taken back");
        assert_eq!(schema(&mut conn), expected);
    }
    conn.run_pending_migrations(MIGRATIONS).expect("and again");
    assert_eq!(Some(schema(&mut conn)), newest);
}
