//! Every parameter, what is refused and how it is told, and texts that nobody would write.

use std::time::Duration;

use proptest::prelude::*;

use super::*;

fn address(text: &str) -> Address {
    text.parse()
        .unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn refusal(text: &str) -> AddressError {
    text.parse::<Address>()
        .expect_err(&format!("{text} must be refused"))
}

#[test]
fn what_an_engine_needs_is_the_default() {
    let address = address("postgres://flux@db/work");
    assert_eq!(address.schema(), "flux");
    assert_eq!(address.wanted, Wanted::ReadWrite);
    assert_eq!(address.tls.mode, SslMode::Prefer);
    assert_eq!(address.order, Order::AsGiven);
    assert!(!address.is_pooled());
    assert_eq!(address.keepalive, Keepalive::default());
    assert_eq!(
        address.to_string(),
        "postgres://flux@db:5432/work?schema=flux"
    );
}

#[test]
fn hosts_are_names_addresses_and_directories_each_with_its_port() {
    for (text, shown) in [
        ("postgres://db", "db:5432"),
        ("postgresql://db/", "db:5432"),
        ("postgres://db:6432/x", "db:6432"),
        ("  postgres://db/x\n", "db:5432"),
        ("postgres://a:1,b:2,c/x", "a:1,b:2,c:5432"),
        ("postgres://[::1]/x", "[::1]:5432"),
        ("postgres://[fe80::1]:7,b/x", "[fe80::1]:7,b:5432"),
        ("postgres://%2Frun%2Fpg/x", "/run/pg/.s.PGSQL.5432"),
        (
            "postgres:///x?host=/run/pg&port=6000",
            "/run/pg/.s.PGSQL.6000",
        ),
        ("postgres:///x?host=a,b&port=1,2", "a:1,b:2"),
        ("postgres:///x?port=1&host=a,b", "a:1,b:1"),
        ("postgres:///x", "/var/run/postgresql/.s.PGSQL.5432"),
        ("postgres://", "/var/run/postgresql/.s.PGSQL.5432"),
    ] {
        let hosts: Vec<String> = address(text).hosts.iter().map(Host::to_string).collect();
        assert_eq!(hosts.join(","), shown, "{text}");
    }
}

#[test]
fn user_password_and_database_are_decoded() {
    let address = address("postgres://me%40corp:p%2Fa%40s%3As%25@db/my%20base");
    assert_eq!(address.user.as_deref(), Some("me@corp"));
    assert_eq!(address.password.as_deref(), Some("p/a@s:s%"));
    assert_eq!(address.database.as_deref(), Some("my base"));
    // What libpq and most people let pass.
    let lenient = self::address("postgres://u:a@b:c#d@db/x");
    assert_eq!(lenient.password.as_deref(), Some("a@b:c#d"));
    let spelled = self::address("postgres://db?user=u&password=p&dbname=d");
    assert_eq!(spelled.user.as_deref(), Some("u"));
    assert_eq!(spelled.password.as_deref(), Some("p"));
    assert_eq!(spelled.database.as_deref(), Some("d"));
}

#[test]
fn parameters_mean_what_they_mean_to_libpq() {
    let address = address(
        "postgres://db/x?target_session_attrs=primary&application_name=a%20b&connect_timeout=3\
         &keepalives=0&keepalives_idle=1&keepalives_interval=2&keepalives_count=4\
         &tcp_user_timeout=1500&load_balance_hosts=random&channel_binding=require&schema=blue_2\
         &sslmode=verify-ca&sslrootcert=/ca.crt&sslcert=c.crt&sslkey=c.key&passfile=/pass\
         &options=-c%20geqo%3Doff&pgbouncer=true",
    );
    assert_eq!(address.wanted, Wanted::Primary);
    assert_eq!(address.application_name.as_deref(), Some("a b"));
    assert_eq!(address.connect_timeout, Some(Duration::from_secs(3)));
    assert_eq!(
        address.keepalive,
        Keepalive {
            on: Switch::Off,
            idle: Duration::from_secs(1),
            interval: Duration::from_secs(2),
            count: 4
        }
    );
    // Milliseconds, although tokio-postgres takes seconds in its own texts.
    assert_eq!(address.tcp_user_timeout, Some(Duration::from_millis(1500)));
    assert_eq!(address.order, Order::Random);
    assert_eq!(address.channel_binding, ChannelBinding::Require);
    assert_eq!(address.schema(), "blue_2");
    assert_eq!(address.tls.mode, SslMode::VerifyCa);
    assert_eq!(address.tls.roots, Some(Roots::File("/ca.crt".into())));
    let client = address.tls.identity.clone().expect("a client certificate");
    assert_eq!(client.certificate, PathBuf::from("c.crt"));
    assert_eq!(client.key, PathBuf::from("c.key"));
    assert_eq!(address.passfile, Some("/pass".into()));
    assert_eq!(address.options.as_deref(), Some("-c geqo=off"));
    assert!(address.is_pooled());
}

#[test]
fn what_is_wrong_is_told_with_its_place_and_an_example() {
    for (text, says) in [
        ("", "must begin with postgres://"),
        ("mysql://db/x", "must begin with postgres://"),
        ("host=db password=secret", "for example postgres://"),
        ("postgres://db:0/x", "port of host 1"),
        ("postgres://a:1,b:70000/x", "port of host 2"),
        ("postgres://a,,b/x", "host 2"),
        ("postgres://[::1/x", "host 1"),
        ("postgres://[::1]x/x", "host 1"),
        ("postgres://u:%zz@db/x", "the password"),
        ("postgres://u%ff@db/x", "the user"),
        ("postgres://db/x%00", "the database name"),
        ("postgres://db/x?schema", "parameter 1"),
        ("postgres://db/x?schema=a&b", "parameter 2"),
        ("postgres://db/x?sslmod=require", "did you mean `sslmode`?"),
        ("postgres://db/x?keepalives_idel=1", "`keepalives_idle`"),
        ("postgres://db/x?search_path=a", "`search_path`"),
        ("postgres://db/x?sslmode=full", "verify-ca or verify-full"),
        (
            "postgres://db/x?schema=a&schema=b",
            "`schema` is given twice",
        ),
        ("postgres://db/x?schema=Flux", "schema=Flux"),
        ("postgres://db/x?schema=1a", "lower-case"),
        ("postgres://db/x?schema=pg_a", "not with pg_"),
        ("postgres://db/x?schema=a;b", "schema=a;b"),
        (
            "postgres://db/x?schema=information_schema",
            "schema=information_schema",
        ),
        ("postgres://db/x?schema=", "schema="),
        ("postgres://db/x?connect_timeout=3s", "seconds"),
        ("postgres://db/x?keepalives_count=0", "from 1 to 127"),
        ("postgres://db/x?pgbouncer=yes", "true or false"),
        ("postgres://a,b,c/x?port=1,2", "2 ports for 3 hosts"),
        ("postgres://db/x?port=99999", "65535"),
        ("postgres://db/x?sslcert=a", "sslcert without sslkey"),
        ("postgres://db/x?sslkey=a", "sslkey without sslcert"),
        ("postgres://db/x?sslmode=verify-ca", "without sslrootcert"),
        (
            "postgres://db/x?sslmode=require&sslrootcert=system",
            "without sslmode=verify-full",
        ),
    ] {
        let told = refusal(text).to_string();
        assert!(told.contains(says), "{text}: {told}");
    }
    assert!(
        format!("postgres://db/x?schema={}", "a".repeat(40))
            .parse::<Address>()
            .is_ok()
    );
    refusal(&format!("postgres://db/x?schema={}", "a".repeat(41)));
}

#[test]
fn a_password_is_shown_neither_when_it_is_right_nor_when_it_spoils_the_url() {
    for text in [
        "postgres://u:s3cret@db/x",
        "postgres://u:s3cret@db/x?password=s3cret",
        "postgres://db/x?password=s3cret&user=u",
    ] {
        let address = address(text);
        assert!(
            !format!("{address} {address:?}").contains("s3cret"),
            "{text}"
        );
    }
    for text in [
        "postgres://u:s3cret/s3cret@db/x",
        "postgres://u:a?s3cret=s3cret@db/x",
        "postgres://u:a@b/s3cret@db/x",
        "postgres://u:s3cret%@db/x",
        "postgres://u:s3cret",
        "postgres://db/x?password=a&s3cret",
        "postgres://db/x?password=a&s3cret=b",
        "u:s3cret@db",
    ] {
        let told = refusal(text);
        assert!(
            !format!("{told} {told:?}").contains("s3cret"),
            "{text}: {told}"
        );
    }
}

#[test]
fn another_schema_is_checked_like_that_of_the_url() {
    let address = address("postgres://db/x");
    let other = address.clone().with_schema("blue").expect("a schema");
    assert_eq!(other.schema(), "blue");
    assert!(address.with_schema("Blue").is_err());
}

#[test]
fn a_url_with_another_schema_says_the_same_of_everything_else() {
    for (url, expected) in [
        ("postgres://h/d", "postgres://h/d?schema=blue"),
        ("postgres://h/d?schema=red", "postgres://h/d?schema=blue"),
        (
            "postgres://h/d?schema=red&user=me",
            "postgres://h/d?user=me&schema=blue",
        ),
    ] {
        assert_eq!(Address::url_with_schema(url, "blue"), expected, "{url}");
    }
}

fn encode(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "(postgres(ql)?://)?\\PC{0,60}") {
        let _ = text.parse::<Address>();
    }

    #[test]
    fn nothing_like_a_url_makes_it_panic(
        text in "postgres://[a:@%0-9\\[\\],/?&=é]{0,40}(\\?[a-z_]{0,12}=[%a-z0-9]{0,9}&?){0,3}"
    ) {
        let _ = text.parse::<Address>();
    }

    #[test]
    fn what_is_encoded_comes_back_and_a_password_is_never_shown(
        user in "[^\\x00]{1,12}", password in "[^\\x00]{8,20}", database in "[^\\x00/]{1,12}",
    ) {
        let text = format!(
            "postgres://{}:{}@db/{}", encode(&user), encode(&password), encode(&database)
        );
        let address: Address = text.parse().expect("a URL");
        prop_assert_eq!(address.user.as_deref(), Some(&*user));
        prop_assert_eq!(address.password.as_deref(), Some(&*password));
        prop_assert_eq!(address.database.as_deref(), Some(&*database));
        let shown = format!("{address}{address:?}");
        prop_assert!(!shown.contains(&*password));
    }
}
