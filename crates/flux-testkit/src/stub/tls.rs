//! Certificates for one test.

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use tempfile::NamedTempFile;
use tokio_rustls::TlsAcceptor;

/// A certificate authority, and the one server that it vouches for.
pub struct Authority {
    file: NamedTempFile,
    config: Arc<ServerConfig>,
}

impl Authority {
    /// Vouches for a server with these names (or addresses).
    pub fn new(hosts: &[&str]) -> Authority {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params
            .distinguished_name
            .push(rcgen::DnType::CommonName, "Flux test authority");
        let key = KeyPair::generate().expect("a key for the authority");
        let issuer =
            CertifiedIssuer::self_signed(params, key).expect("the authority's certificate");

        let names: Vec<String> = hosts.iter().map(|&host| host.to_owned()).collect();
        let key = KeyPair::generate().expect("a key for the server");
        let certificate = CertificateParams::new(names)
            .and_then(|params| params.signed_by(&key, &issuer))
            .expect("the server's certificate");

        let mut file = NamedTempFile::with_suffix(".pem").expect("a temporary file");
        file.write_all(issuer.pem().as_bytes())
            .expect("the file can be written");
        let config = Arc::new(server_config(certificate.der().clone(), &key));
        Authority { file, config }
    }

    /// PEM file of its certificate.
    pub fn file(&self) -> &Path {
        self.file.path()
    }

    /// Makes TLS of the server's connections.
    pub fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(Arc::clone(&self.config))
    }
}

fn server_config(certificate: CertificateDer<'static>, key: &KeyPair) -> ServerConfig {
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring knows the default versions")
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .expect("key and certificate belong together")
}
