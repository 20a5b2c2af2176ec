//! Judges the server's certificate as `sslmode` says.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

/// Which certificates are good.
pub(super) enum Trust {
    /// Any: the connection is encrypted, but maybe with the wrong one.
    Anybody,
    /// Those issued by, or equal to, one of these.
    Authority(Vec<CertificateDer<'static>>),
    /// The same, and only for the name that we connect to.
    Name(Vec<CertificateDer<'static>>),
}

#[derive(Debug)]
pub(super) struct Verifier {
    algorithms: WebPkiSupportedAlgorithms,
    wants: Wants,
}

#[derive(Debug)]
enum Wants {
    Nothing,
    Authority(Authorities),
    Name(Authorities),
}

#[derive(Debug)]
struct Authorities {
    store: RootCertStore,
    certificates: Vec<CertificateDer<'static>>,
}

impl Verifier {
    pub(super) fn new(trust: Trust, provider: &Arc<CryptoProvider>) -> Result<Self, String> {
        let wants = match trust {
            Trust::Anybody => Wants::Nothing,
            Trust::Authority(certificates) => Wants::Authority(Authorities::new(certificates)?),
            Trust::Name(certificates) => Wants::Name(Authorities::new(certificates)?),
        };
        let algorithms = provider.signature_verification_algorithms;
        Ok(Self { algorithms, wants })
    }
}

impl Authorities {
    fn new(certificates: Vec<CertificateDer<'static>>) -> Result<Self, String> {
        let mut store = RootCertStore::empty();
        let (good, _) = store.add_parsable_certificates(certificates.iter().cloned());
        if good == 0 {
            return Err("sslrootcert: none of its certificates can be read".to_owned());
        }
        Ok(Self {
            store,
            certificates,
        })
    }

    /// A certificate that stands in the file itself needs no issuer: many servers have one that they
    /// issued to themselves.
    fn verify(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
        algorithms: &WebPkiSupportedAlgorithms,
    ) -> Result<(), Error> {
        if self.certificates.iter().any(|known| known == certificate) {
            return Ok(());
        }
        let parsed = ParsedCertificate::try_from(certificate)?;
        verify_server_cert_signed_by_trust_anchor(
            &parsed,
            &self.store,
            intermediates,
            now,
            algorithms.all,
        )
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        _ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        match &self.wants {
            Wants::Nothing => {}
            Wants::Authority(known) => {
                known.verify(certificate, intermediates, now, &self.algorithms)?;
            }
            Wants::Name(known) => {
                known.verify(certificate, intermediates, now, &self.algorithms)?;
                verify_server_name(&ParsedCertificate::try_from(certificate)?, name)?;
            }
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls12_signature(message, certificate, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
