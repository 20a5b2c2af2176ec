//! Whom we trust, and who we are: `sslmode`, `sslrootcert`, `sslcert` and `sslkey`.

mod verifier;

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{CertificateError, ClientConfig};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::address::{ClientFiles, Roots, SslMode, Tls};
use verifier::{Trust, Verifier};

/// Reads the files and makes what encrypts connections. Anew for each connection: certificates expire
/// and are replaced.
///
/// # Errors
/// A sentence that names the file and what is wrong with it.
pub(crate) fn connector(tls: &Tls) -> Result<MakeRustlsConnect, String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = Verifier::new(trust(tls)?, &provider)?;
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| format!("TLS cannot be set up: {error}"))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier));
    let config = match &tls.identity {
        None => builder.with_no_client_auth(),
        Some(files) => {
            let (chain, key) = identity(files)?;
            builder
                .with_client_auth_cert(chain, key)
                .map_err(|error| wrong("sslkey", &files.key, &error))?
        }
    };
    Ok(MakeRustlsConnect::new(config))
}

/// As libpq: `require` with a file of authorities is `verify-ca`; weaker modes verify nothing.
fn trust(tls: &Tls) -> Result<Trust, String> {
    match (tls.mode, &tls.roots) {
        (SslMode::VerifyFull, None | Some(Roots::System)) => Ok(Trust::Name(of_the_system()?)),
        (SslMode::VerifyFull, Some(Roots::File(path))) => {
            Ok(Trust::Name(certificates("sslrootcert", path)?))
        }
        (SslMode::Require | SslMode::VerifyCa, Some(Roots::File(path))) => {
            Ok(Trust::Authority(certificates("sslrootcert", path)?))
        }
        _ => Ok(Trust::Anybody),
    }
}

fn of_the_system() -> Result<Vec<CertificateDer<'static>>, String> {
    let native = rustls_native_certs::load_native_certs();
    for error in native.errors {
        tracing::warn!(%error, "some certificate authorities of the system cannot be read");
    }
    if native.certs.is_empty() {
        let text = "the system trusts no certificate authorities: install ca-certificates, or name \
                    a file in sslrootcert";
        return Err(text.to_owned());
    }
    Ok(native.certs)
}

fn identity(
    files: &ClientFiles,
) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), String> {
    let chain = certificates("sslcert", &files.certificate)?;
    let key = PrivateKeyDer::from_pem_file(&files.key)
        .map_err(|error| wrong("sslkey", &files.key, &error))?;
    Ok((chain, key))
}

fn certificates(parameter: &str, path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let pem = std::fs::read(path).map_err(|error| wrong(parameter, path, &error))?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    let found = found.map_err(|error| wrong(parameter, path, &error))?;
    if found.is_empty() {
        return Err(wrong(parameter, path, &"it contains no certificate"));
    }
    Ok(found)
}

fn wrong(parameter: &str, path: &Path, why: &dyn std::fmt::Display) -> String {
    format!("{parameter}={}: {why}", path.display())
}

/// What to do about a failed handshake; nothing when the failure is of another kind.
pub(crate) fn advice(error: &tokio_postgres::Error) -> Option<&'static str> {
    let Some(error) = handshake(error) else {
        let refused = error.to_string().starts_with("error performing TLS");
        return refused.then_some(
            "turn TLS on in the server (ssl = on), or use sslmode=prefer where nobody can listen",
        );
    };
    Some(match error {
        rustls::Error::InvalidCertificate(error) => match error {
            CertificateError::UnknownIssuer | CertificateError::BadSignature => {
                "name the authority that issued the server's certificate in sslrootcert"
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                "connect to a host that the server's certificate names as a subject alternative \
                 name, or use sslmode=verify-ca"
            }
            CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. } => {
                "renew the server's certificate, and check the clock of this machine"
            }
            _ => "check the server's certificate",
        },
        rustls::Error::AlertReceived(_) => {
            "the server refuses this client's TLS; check sslcert and sslkey, and its log"
        }
        _ => "check that the server speaks TLS 1.2 or newer",
    })
}

/// The reason within, whether it came while shaking hands or with the first bytes after it.
fn handshake(error: &tokio_postgres::Error) -> Option<&rustls::Error> {
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        let within = error.downcast_ref::<std::io::Error>();
        let within = within.and_then(|error| error.get_ref());
        if let Some(found) = within.and_then(|error| error.downcast_ref()) {
            return Some(found);
        }
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        cause = error.source();
    }
    None
}
