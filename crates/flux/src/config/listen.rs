//! Where the engine listens for clients.

use super::Reader;
use crate::exit::{CONFIG, Failure};
use flux_server::{Listen, Locked, Tls, locks};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use tonic::transport::Uri;

/// Where to listen; the files are read when an engine starts.
#[derive(Clone)]
pub struct Listening {
    /// Address and port.
    pub address: SocketAddr,
    /// Whether the port is one that somebody asked for.
    pub is_port_given: bool,
    /// Where other engines reach this one, when that is not where it listens.
    pub advertised: Option<String>,
    /// Files of the certificate and its key.
    tls: Option<(PathBuf, PathBuf)>,
    token: Option<String>,
    insecure: bool,
}

impl Listening {
    /// With the certificate and the key.
    pub fn open(&self) -> Result<Listen, Failure> {
        let tls = match &self.tls {
            Some((cert, key)) => Some(Tls {
                cert_pem: text("TLS_CERT_FILE", cert)?,
                key_pem: text("TLS_KEY_FILE", key)?,
            }),
            None => None,
        };
        Ok(Listen {
            address: self.address,
            tls,
            token: self.token.clone(),
            insecure: self.insecure,
        })
    }
}

fn text(key: &str, file: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(file).map_err(|error| {
        let message = format!("{key}: cannot read {}: {error}", file.display());
        Failure::new(CONFIG, message)
    })
}

impl Reader<'_> {
    fn advertised(&mut self) -> Option<String> {
        let text = self.text("advertised_address").to_owned();
        if text.is_empty() {
            return None;
        }
        let is_address = text.parse::<Uri>().is_ok_and(|uri| {
            let scheme = uri.scheme_str();
            (scheme == Some("http") || scheme == Some("https"))
                && uri.port_u16().is_some()
                && matches!(uri.path(), "" | "/")
        });
        if !is_address {
            let must = "must be a URL with a port and no path";
            self.fault("advertised_address", must, "http://10.0.0.7:7520");
        }
        Some(text)
    }

    pub(super) fn listening(&mut self) -> Listening {
        let port = self.number("port", 0, u64::from(u16::MAX), "7520") as u16;
        let ip: Option<IpAddr> = self.text("listen_address").parse().ok();
        if ip.is_none() {
            self.fault("listen_address", "must be an IP address", "127.0.0.1");
        }
        let ip = ip.unwrap_or(Ipv4Addr::LOCALHOST.into());
        let insecure = self.flag("insecure");
        let (cert, key) = (self.text("tls_cert_file"), self.text("tls_key_file"));
        let tls = match (cert, key) {
            ("", _) | (_, "") => None,
            (cert, key) => Some((PathBuf::from(cert), PathBuf::from(key))),
        };
        match (cert.is_empty(), key.is_empty()) {
            (false, true) => self.fault("tls_key_file", "must be given, too", "/etc/flux/key.pem"),
            (true, false) => {
                self.fault("tls_cert_file", "must be given, too", "/etc/flux/cert.pem");
            }
            _ => {}
        }
        let token = self.text("client_token");
        let token = (!token.is_empty()).then(|| token.to_owned());
        let address = SocketAddr::new(ip, port);
        match locks(address, tls.is_some(), token.as_deref(), insecure) {
            Ok(()) => {}
            Err(locked @ Locked::Token) => self.secret_fault("client_token", &locked),
            Err(locked) => self.fault("listen_address", &locked.to_string(), "127.0.0.1"),
        }
        let given = self.given.get("port");
        Listening {
            address,
            advertised: self.advertised(),
            is_port_given: given.is_some_and(|setting| setting.source != "default"),
            tls,
            token,
            insecure,
        }
    }

    pub(super) fn flag(&mut self, key: &str) -> bool {
        match self.text(key) {
            "true" => true,
            "false" => false,
            _ => {
                self.fault(key, "must be true or false", "false");
                false
            }
        }
    }
}
