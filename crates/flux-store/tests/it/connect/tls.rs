//! `sslmode`, with certificates made here.

use flux_store::postgres::connect::Reason;
use flux_testkit::postgres::{Server, available};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair,
};

use super::fixture::{ask, open, refused, set_hba, write_file};

/// An authority, and what it issues.
struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: tempfile::TempDir,
}

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().expect("a key");
        let issuer = CertifiedIssuer::self_signed(params, key).expect("an authority");
        let folder = tempfile::tempdir().expect("a folder");
        let this = Self { issuer, folder };
        this.write("ca.crt", &this.issuer.pem());
        this
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.folder.path().join(name), text).expect("a file");
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    /// Certificate and key, in PEM.
    fn issue(&self, name: &str, purpose: ExtendedKeyUsagePurpose) -> (String, String) {
        let mut params = CertificateParams::new([name.to_owned()]).expect("a name");
        params.distinguished_name.push(DnType::CommonName, name);
        params.extended_key_usages = vec![purpose];
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        (certificate.pem(), key.serialize_pem())
    }
}

/// A server with this certificate, that may ask clients for one of the same authority.
fn server(authority: &Authority, name: &str) -> Server {
    let server = Server::start();
    let (certificate, key) = authority.issue(name, ExtendedKeyUsagePurpose::ServerAuth);
    write_file(&server, "server.crt", &certificate);
    write_file(&server, "server.key", &key);
    write_file(&server, "ca.crt", &authority.issuer.pem());
    server.configure("ssl_ca_file", "ca.crt");
    server.configure("ssl", "on");
    server
}

fn url(server: &Server, host: &str, parameters: &str) -> String {
    let port = server.port();
    format!("postgres://postgres@{host}:{port}/postgres?{parameters}")
}

async fn is_encrypted(url: &str) -> bool {
    let question = "select ssl from pg_stat_ssl where pid = pg_backend_pid()";
    ask(&mut open(url).await.conn, question).await == "true"
}

#[tokio::test]
async fn each_mode_trusts_what_it_should() {
    if !available() {
        return;
    }
    let ours = Authority::new("ours");
    let theirs = Authority::new("theirs");
    let server = server(&ours, "localhost");
    let ca = format!("sslrootcert={}", ours.path("ca.crt"));
    let other = format!("sslrootcert={}", theirs.path("ca.crt"));

    let full = url(&server, "localhost", &format!("sslmode=verify-full&{ca}"));
    assert!(is_encrypted(&full).await);
    for encrypted in ["sslmode=prefer", "sslmode=require", ""] {
        assert!(
            is_encrypted(&url(&server, "127.0.0.1", encrypted)).await,
            "{encrypted}"
        );
    }
    let by_authority = format!("sslmode=verify-ca&{ca}");
    assert!(is_encrypted(&url(&server, "127.0.0.1", &by_authority)).await);
    for plain in ["sslmode=disable", "sslmode=allow"] {
        assert!(
            !is_encrypted(&url(&server, "127.0.0.1", plain)).await,
            "{plain}"
        );
    }

    for (host, parameters, says) in [
        (
            "localhost",
            format!("sslmode=verify-full&{other}"),
            "in sslrootcert",
        ),
        (
            "localhost",
            format!("sslmode=verify-ca&{other}"),
            "in sslrootcert",
        ),
        (
            "localhost",
            format!("sslmode=require&{other}"),
            "in sslrootcert",
        ),
        (
            "127.0.0.1",
            format!("sslmode=verify-full&{ca}"),
            "subject alternative name",
        ),
        ("localhost", "sslmode=verify-full".to_owned(), "sslrootcert"),
    ] {
        let error = refused(&url(&server, host, &parameters)).await;
        let told = error.to_string();
        assert!(told.contains(says), "{parameters}: {told}");
        assert!(!error.is_transient(), "{told}");
    }
    let missing = refused(&url(
        &server,
        "localhost",
        "sslmode=verify-ca&sslrootcert=/no.crt",
    ))
    .await;
    assert_eq!(
        missing.reasons().collect::<Vec<_>>(),
        [Reason::File],
        "{missing}"
    );
    assert!(
        missing.to_string().contains("sslrootcert=/no.crt"),
        "{missing}"
    );
}

#[tokio::test]
async fn a_server_may_insist_on_encryption_and_on_a_certificate() {
    if !available() {
        return;
    }
    let ours = Authority::new("ours");
    let server = server(&ours, "localhost");
    server.psql("create role anna login; create role ben login");
    set_hba(
        &server,
        "hostssl all anna 127.0.0.1/32 cert\nhostssl all ben 127.0.0.1/32 trust\n\
         hostnossl all carl 127.0.0.1/32 trust\n",
    );
    server.psql("create role carl login");
    let (certificate, key) = ours.issue("anna", ExtendedKeyUsagePurpose::ClientAuth);
    ours.write("anna.crt", &certificate);
    ours.write("anna.key", &key);
    let as_user = |user: &str, parameters: &str| {
        let port = server.port();
        format!("postgres://{user}@127.0.0.1:{port}/postgres?{parameters}")
    };
    let files = format!(
        "sslcert={}&sslkey={}",
        ours.path("anna.crt"),
        ours.path("anna.key")
    );
    assert!(is_encrypted(&as_user("anna", &files)).await);
    let without = refused(&as_user("anna", "sslmode=require")).await;
    assert!(!without.is_transient(), "{without}");
    // `allow` begins without encryption and is told that it must, `prefer` the other way round.
    assert!(is_encrypted(&as_user("ben", "sslmode=allow")).await);
    assert!(!is_encrypted(&as_user("carl", "sslmode=prefer")).await);
    let plain = refused(&as_user("ben", "sslmode=disable")).await;
    assert_eq!(
        plain.reasons().collect::<Vec<_>>(),
        [Reason::NotLetIn],
        "{plain}"
    );
    let broken = format!("sslcert={0}&sslkey={0}", ours.path("anna.crt"));
    let broken = refused(&as_user("anna", &broken)).await;
    assert_eq!(
        broken.reasons().collect::<Vec<_>>(),
        [Reason::File],
        "{broken}"
    );
}

#[tokio::test]
async fn a_server_without_encryption_is_taken_only_where_that_is_allowed() {
    if !available() {
        return;
    }
    let ours = Authority::new("ours");
    let server = Server::start();
    assert!(!is_encrypted(&url(&server, "127.0.0.1", "sslmode=prefer")).await);
    let ca = format!("sslmode=verify-full&sslrootcert={}", ours.path("ca.crt"));
    for strict in ["sslmode=require", &*ca] {
        let error = refused(&url(&server, "127.0.0.1", strict)).await;
        assert_eq!(
            error.reasons().collect::<Vec<_>>(),
            [Reason::Tls],
            "{error}"
        );
        assert!(error.to_string().contains("ssl = on"), "{error}");
    }
}

#[tokio::test]
async fn a_certificate_that_a_server_issued_to_itself_can_be_named() {
    if !available() {
        return;
    }
    let server = Server::start();
    // As `openssl req -x509` makes it: an authority of its own, which webpki alone would refuse.
    let mut params = CertificateParams::new(["localhost".to_owned()]).expect("a name");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().expect("a key");
    let certificate = params.self_signed(&key).expect("a certificate").pem();
    write_file(&server, "server.crt", &certificate);
    write_file(&server, "server.key", &key.serialize_pem());
    server.configure("ssl", "on");
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), &certificate).expect("a file");
    let full = format!("sslmode=verify-full&sslrootcert={}", file.path().display());
    assert!(is_encrypted(&url(&server, "localhost", &full)).await);
    let error = refused(&url(&server, "127.0.0.1", &full)).await;
    assert!(
        error.to_string().contains("subject alternative name"),
        "{error}"
    );
}
