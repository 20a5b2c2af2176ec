//! Where to listen, and the locks without which no address but a local one is opened.

use std::fmt;
use std::net::SocketAddr;

/// Shortest token, in characters.
pub const SHORTEST_TOKEN: usize = 16;

/// Where to listen, and for whom.
#[derive(Clone)]
pub struct Listen {
    /// Port 0 is any free one.
    pub address: SocketAddr,
    /// Encrypts the connections.
    pub tls: Option<Tls>,
    /// What clients must say; everybody may ask without one.
    pub token: Option<String>,
    /// Opens an address that others reach without these locks.
    pub insecure: bool,
}

/// What TLS needs, as PEM text.
#[derive(Clone)]
pub struct Tls {
    /// Certificate of the server, and those between it and its authority.
    pub cert_pem: String,
    /// Its private key.
    pub key_pem: String,
}

impl fmt::Debug for Listen {
    /// Without the secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listen")
            .field("address", &self.address)
            .field("tls", &self.tls.is_some())
            .field("token", &self.token.is_some())
            .field("insecure", &self.insecure)
            .finish()
    }
}

/// Why an address is not opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Locked {
    /// Others reach the address, and something is missing.
    #[error(
        "{address} can be reached from other machines, and there is no {missing}: give a certificate, \
         its key and a client token; or listen on 127.0.0.1; or allow it with the setting `insecure`"
    )]
    Open {
        /// Where.
        address: SocketAddr,
        /// What is missing.
        missing: &'static str,
    },
    /// A token that can be guessed.
    #[error("a client token needs at least {SHORTEST_TOKEN} characters, all of them visible ASCII")]
    Token,
}

/// Whether an address may be opened with these locks.
///
/// # Errors
/// What is missing.
pub fn locks(
    address: SocketAddr,
    tls: bool,
    token: Option<&str>,
    insecure: bool,
) -> Result<(), Locked> {
    let visible = |token: &str| token.bytes().all(|byte| byte.is_ascii_graphic());
    if token.is_some_and(|token| token.len() < SHORTEST_TOKEN || !visible(token)) {
        return Err(Locked::Token);
    }
    if address.ip().to_canonical().is_loopback() || insecure {
        return Ok(());
    }
    let missing = match (tls, token.is_some()) {
        (true, true) => return Ok(()),
        (false, true) => "certificate",
        (true, false) => "client token",
        (false, false) => "certificate and no client token",
    };
    Err(Locked::Open { address, missing })
}

impl Listen {
    /// Whether it may be opened.
    pub(crate) fn check(&self) -> Result<(), Locked> {
        let (tls, token) = (self.tls.is_some(), self.token.as_deref());
        locks(self.address, tls, token, self.insecure)
    }

    /// Whether it is open to others with a lock missing.
    pub(crate) fn is_exposed(&self) -> bool {
        let (tls, token) = (self.tls.is_some(), self.token.as_deref());
        locks(self.address, tls, token, false).is_err()
    }
}

#[cfg(test)]
mod tests {
    use super::{Locked, locks};

    const TOKEN: Option<&str> = Some("0123456789abcdef");

    #[test]
    fn only_a_local_address_opens_without_locks() {
        for local in [
            "127.0.0.1:7520",
            "127.8.8.8:1",
            "[::1]:7520",
            "[::ffff:127.0.0.1]:1",
        ] {
            let address = local.parse().expect("an address");
            assert_eq!(locks(address, false, None, false), Ok(()), "{local}");
        }
        for open in ["0.0.0.0:7520", "[::]:7520", "10.0.0.7:7520"] {
            let address = open.parse().expect("an address");
            for (tls, token) in [(false, None), (true, None), (false, TOKEN)] {
                let refused = locks(address, tls, token, false)
                    .expect_err(open)
                    .to_string();
                for way in ["certificate", "127.0.0.1", "insecure"] {
                    assert!(refused.contains(way), "{refused}");
                }
                assert_eq!(locks(address, tls, token, true), Ok(()));
            }
            assert_eq!(locks(address, true, TOKEN, false), Ok(()));
        }
    }

    #[test]
    fn a_token_that_can_be_guessed_is_refused_everywhere() {
        let address = "127.0.0.1:1".parse().expect("an address");
        for token in [
            "",
            "0123456789abcde",
            "0123456789 abcdef",
            "0123456789abcdef\u{e9}",
        ] {
            let refused = locks(address, true, Some(token), true);
            assert_eq!(refused, Err(Locked::Token), "{token}");
        }
    }
}
