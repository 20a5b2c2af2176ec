//! The HTTP clients: one that follows redirects, one that does not.

use crate::action::Config;
use reqwest::redirect::Policy;
use reqwest::{Client, ClientBuilder};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Most redirects of one call.
const REDIRECTS: usize = 5;
/// Longest wait for a connection, so that a dead address is told from a slow answer.
const CONNECT: Duration = Duration::from_secs(10);

/// Both clients.
pub(super) struct Clients {
    staying: Client,
    following: Client,
}

impl Clients {
    /// The client for a task's `redirect`.
    pub fn of(&self, redirect: bool) -> &Client {
        if redirect {
            &self.following
        } else {
            &self.staying
        }
    }
}

/// The error names the setting that is wrong.
pub(super) fn build(config: &Config) -> Result<Clients, String> {
    let tls = tls(config.http_ca_file.as_deref())?;
    let addresses = addresses(&config.http_resolve)?;
    let client = |policy| {
        let mut builder = ClientBuilder::new()
            .tls_backend_preconfigured(tls.clone())
            .user_agent(concat!("flux/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT.min(config.http_timeout))
            .timeout(config.http_timeout)
            .redirect(policy);
        for (host, address) in &addresses {
            builder = builder.resolve(host, *address);
        }
        builder
            .build()
            .map_err(|error| format!("the HTTP client cannot be set up: {error}"))
    };
    Ok(Clients {
        staying: client(Policy::none())?,
        following: client(Policy::limited(REDIRECTS))?,
    })
}

/// The address of each host. The client overrides addresses by host alone, and a port that the URL
/// spells out wins: what cannot be done so is refused.
fn addresses(entries: &[(String, u16, SocketAddr)]) -> Result<HashMap<String, SocketAddr>, String> {
    let mut addresses = HashMap::new();
    for (host, port, address) in entries {
        if ![80, 443].contains(port) && *port != address.port() {
            return Err(format!(
                "http_resolve: {host}:{port}={address}: only ports 80 and 443 can be moved; use an \
                 address with port {port}"
            ));
        }
        let other = addresses.insert(host.to_ascii_lowercase(), *address);
        if let Some(other) = other.filter(|other| other != address) {
            return Err(format!(
                "http_resolve: {host} is given two addresses, {other} and {address}; keep one"
            ));
        }
    }
    Ok(addresses)
}

/// Trusts the authorities of the system and those of the file. A system without any is no error
/// here: engines that call nothing over TLS need none.
fn tls(ca_file: Option<&Path>) -> Result<ClientConfig, String> {
    let mut roots = RootCertStore::empty();
    let native = rustls_native_certs::load_native_certs();
    for error in native.errors {
        tracing::warn!(%error, "some certificate authorities of the system cannot be read");
    }
    roots.add_parsable_certificates(native.certs);
    if let Some(path) = ca_file {
        for certificate in read(path)? {
            roots
                .add(certificate)
                .map_err(|error| wrong(path, &error.to_string()))?;
        }
    }
    let builder =
        ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| format!("TLS cannot be set up: {error}"))?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

fn read(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let pem = std::fs::read(path).map_err(|error| wrong(path, &error.to_string()))?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    let certificates = certificates.map_err(|error| wrong(path, &error.to_string()))?;
    if certificates.is_empty() {
        return Err(wrong(path, "it contains no certificate"));
    }
    Ok(certificates)
}

fn wrong(path: &Path, why: &str) -> String {
    format!(
        "http_ca_file: {}: {why}; name a readable PEM file with -----BEGIN CERTIFICATE-----",
        path.display()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(host: &str, port: u16, address: &str) -> (String, u16, SocketAddr) {
        (host.to_owned(), port, address.parse().expect("an address"))
    }

    #[test]
    fn overrides_that_cannot_be_honoured_are_refused() {
        let moved = [
            entry("A.test", 443, "127.0.0.1:9"),
            entry("b.test", 8080, "127.0.0.1:8080"),
        ];
        assert_eq!(addresses(&moved).map(|found| found.len()), Ok(2));
        let error = addresses(&[entry("a.test", 8080, "127.0.0.1:9")]);
        assert!(error.is_err_and(|text| text.contains("a.test:8080=127.0.0.1:9")));
        let twice = [
            entry("a.test", 80, "127.0.0.1:8"),
            entry("a.test", 443, "127.0.0.1:9"),
        ];
        assert!(addresses(&twice).is_err_and(|text| text.contains("two addresses")));
    }

    #[test]
    fn a_wrong_ca_file_is_named() {
        let missing = tls(Some(Path::new("/does/not/exist.pem")))
            .err()
            .unwrap_or_default();
        assert!(
            missing.starts_with("http_ca_file: /does/not/exist.pem: "),
            "{missing}"
        );
        let file = tempfile::NamedTempFile::new().expect("a temporary file");
        let empty = tls(Some(file.path())).err().unwrap_or_default();
        assert!(empty.contains("contains no certificate"), "{empty}");
    }
}
