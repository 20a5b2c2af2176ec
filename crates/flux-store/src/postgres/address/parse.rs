//! The pieces of a URL, decoded. As lenient as libpq where that harms nobody, and strict about `%`.

use super::error::{AddressError, Part};
use super::{Host, Place};

/// The pieces of a URL.
pub(super) struct Url {
    pub(super) user: Option<String>,
    pub(super) password: Option<String>,
    pub(super) hosts: Vec<Host>,
    pub(super) database: Option<String>,
    /// Names and values, as they stand.
    pub(super) parameters: Vec<(String, String)>,
}

impl Url {
    pub(super) fn parse(text: &str) -> Result<Self, AddressError> {
        let rest = text
            .trim()
            .strip_prefix("postgres://")
            .or_else(|| text.trim().strip_prefix("postgresql://"))
            .ok_or(AddressError::Scheme)?;
        let authority_end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, tail) = rest.split_at(authority_end);
        // An unescaped `/` or `?` in the password would end the hosts within it, and everything after
        // would be taken, and shown, for something else.
        if tail.contains('@') {
            return Err(AddressError::Unescaped);
        }
        let (credentials, hosts) = match authority.rsplit_once('@') {
            Some((credentials, hosts)) => (credentials, hosts),
            None => ("", authority),
        };
        let (user, password) = match credentials.split_once(':') {
            Some((user, password)) => (user, password),
            None => (credentials, ""),
        };
        let (path, query) = match tail.split_once('?') {
            Some((path, query)) => (path, query),
            None => (tail, ""),
        };
        Ok(Self {
            user: some(decode(user, Part::User)?),
            password: some(decode(password, Part::Password)?),
            hosts: parse_hosts(hosts)?,
            database: some(decode(path.trim_start_matches('/'), Part::Database)?),
            parameters: parse_query(query)?,
        })
    }
}

fn some(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

fn parse_hosts(text: &str) -> Result<Vec<Host>, AddressError> {
    if text.is_empty() {
        return Ok(Vec::new());
    }
    let hosts = text.split(',').enumerate();
    hosts
        .map(|(index, host)| parse_host(host, index + 1))
        .collect()
}

fn parse_host(text: &str, number: usize) -> Result<Host, AddressError> {
    let (name, port) = match text.strip_prefix('[') {
        Some(bracketed) => {
            let (name, after) = bracketed
                .split_once(']')
                .ok_or(AddressError::Host { number })?;
            let port = match after.strip_prefix(':') {
                Some(port) => Some(port),
                None if after.is_empty() => None,
                None => return Err(AddressError::Host { number }),
            };
            (name, port)
        }
        None => match text.split_once(':') {
            Some((name, port)) => (name, Some(port)),
            None => (text, None),
        },
    };
    let port = match port {
        Some(port) => parse_port(port).ok_or(AddressError::Port { number })?,
        None => Host::DEFAULT_PORT,
    };
    let place = place(decode(name, Part::Host)?).ok_or(AddressError::Host { number })?;
    Ok(Host { place, port })
}

/// A name that begins with `/` is the directory of a Unix socket.
pub(super) fn place(name: String) -> Option<Place> {
    if name.starts_with('/') {
        return Some(Place::Unix(name.into()));
    }
    let plausible = !name.is_empty() && !name.contains(char::is_whitespace);
    plausible.then_some(Place::Tcp(name))
}

pub(super) fn parse_port(text: &str) -> Option<u16> {
    text.parse().ok().filter(|port| *port > 0)
}

fn parse_query(text: &str) -> Result<Vec<(String, String)>, AddressError> {
    let given = text.split('&').filter(|pair| !pair.is_empty());
    given
        .enumerate()
        .map(|(index, pair)| {
            let (name, value) = pair
                .split_once('=')
                .ok_or(AddressError::NoValue { number: index + 1 })?;
            Ok((
                decode(name, Part::Parameter)?,
                decode(value, Part::Parameter)?,
            ))
        })
        .collect()
}

fn decode(text: &str, place: Part) -> Result<String, AddressError> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let decoded = match byte {
            b'%' => match (rest.next().and_then(hex), rest.next().and_then(hex)) {
                (Some(high), Some(low)) => high << 4 | low,
                _ => return Err(AddressError::Encoding { place }),
            },
            byte => byte,
        };
        bytes.push(decoded);
    }
    let text = String::from_utf8(bytes).map_err(|_| AddressError::Encoding { place })?;
    if text.contains('\0') {
        return Err(AddressError::Nul { place });
    }
    Ok(text)
}

fn hex(byte: u8) -> Option<u8> {
    char::from(byte)
        .to_digit(16)
        .and_then(|digit| u8::try_from(digit).ok())
}
