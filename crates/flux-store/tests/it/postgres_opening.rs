//! Opening a PostgreSQL database: by many at once, of another version, by a role that may little.

use flux_store::postgres::OpenError;
use flux_store::{Address, PostgresOptions, PostgresStore};
use flux_testkit::postgres::Server;
use flux_testkit::store_suite::Ports;
use futures_util::future::join_all;

async fn open(address: &Address) -> Result<PostgresStore, OpenError> {
    PostgresStore::open(address, &PostgresOptions::default()).await
}

#[tokio::test]
async fn a_schema_that_many_create_at_once_opens_for_all() {
    for _ in 0..5 {
        let address = crate::support::address();
        let opened = join_all((0..8).map(|_| open(&address))).await;
        for opened in opened {
            opened.expect("it opens");
        }
    }
}

#[tokio::test]
async fn a_schema_of_a_newer_program_is_refused_by_name_and_version() {
    let address = crate::support::address();
    open(&address).await.expect("it opens");
    let schema = address.schema();
    Server::shared().psql(&format!(
        "INSERT INTO \"{schema}\".migration (version) VALUES ('9999')"
    ));
    let Err(refused) = open(&address).await else {
        panic!("it was opened");
    };
    assert!(!refused.is_transient());
    let text = refused.to_string();
    for part in [schema, "9999", "use the Flux that wrote it"] {
        assert!(text.contains(part), "{text}");
    }
}

/// Two clusters in one database do not see each other.
#[tokio::test]
async fn a_schema_is_a_cluster_of_its_own() {
    let (one, other): (Ports, Ports) = (
        crate::support::on_postgres().await,
        crate::support::on_postgres().await,
    );
    flux_testkit::store_suite::submit::a_run_starts(one).await;
    let members = other.members().members().await;
    assert_eq!(members.expect("it answers"), vec![]);
}

/// Who may not create anything can work in a schema that somebody else has migrated.
#[tokio::test]
async fn a_role_without_create_works_and_is_told_what_it_lacks() {
    let server = Server::shared();
    let database = server.create_database();
    let role = format!("r{}", uuid::Uuid::now_v7().simple());
    server.psql(&format!("CREATE ROLE \"{role}\" LOGIN"));
    let owner: Address = database.url().parse().expect("the address is right");
    let theirs = database.url().replace("postgres@", &format!("{role}@"));
    let theirs: Address = theirs.parse().expect("the address is right");
    let Err(refused) = open(&theirs).await else {
        panic!("it was opened");
    };
    assert!(refused.to_string().contains("flux db migrate"), "{refused}");
    open(&owner).await.expect("it opens");
    database.psql(&format!(
        "GRANT USAGE ON SCHEMA flux TO \"{role}\"; \
         GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA flux TO \"{role}\""
    ));
    open(&theirs).await.expect("it opens");
}

/// An administrator makes the schema; its owner needs no right on the database.
#[tokio::test]
async fn a_role_that_owns_the_schema_creates_its_tables() {
    let server = Server::shared();
    let database = server.create_database();
    let role = format!("r{}", uuid::Uuid::now_v7().simple());
    server.psql(&format!("CREATE ROLE \"{role}\" LOGIN"));
    database.psql(&format!("CREATE SCHEMA flux AUTHORIZATION \"{role}\""));
    let theirs = database.url().replace("postgres@", &format!("{role}@"));
    let theirs: Address = theirs.parse().expect("the address is right");
    open(&theirs).await.expect("it opens");
}
