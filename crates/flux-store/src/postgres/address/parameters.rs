//! What stands after the `?`: one table of names, and what each value means.

use std::collections::HashSet;
use std::time::Duration;

use super::error::AddressError;
use super::{
    Address, ChannelBinding, ClientFiles, Host, Order, Pooler, Roots, SslMode, Switch, Wanted,
    parse,
};

/// What a URL may say after its `?`.
struct Parameter {
    name: &'static str,
    expected: &'static str,
    example: &'static str,
    /// Puts the value into the address; nothing when it is not one.
    set: fn(&mut Address, &str) -> Option<()>,
}

const PARAMETERS: &[Parameter] = &[
    Parameter {
        name: "schema",
        expected: "a name of at most 40 lower-case letters, digits and `_` that begins with a \
                   letter or `_`, and not with pg_",
        example: "flux",
        set: |address, value| is_schema(value).then(|| value.clone_into(&mut address.schema)),
    },
    Parameter {
        name: "sslmode",
        expected: "disable, allow, prefer, require, verify-ca or verify-full",
        example: "verify-full",
        set: |address, value| {
            let mode = SSL_MODES.iter().find(|(name, _)| *name == value);
            mode.map(|(_, mode)| address.tls.mode = *mode)
        },
    },
    Parameter {
        name: "sslrootcert",
        expected: "`system` or the path of a PEM file with the certificate of the authority",
        example: "/etc/flux/ca.crt",
        set: |address, value| {
            address.tls.roots = Some(match value {
                "" => return None,
                "system" => Roots::System,
                path => Roots::File(path.into()),
            });
            Some(())
        },
    },
    Parameter {
        name: "sslcert",
        expected: "the path of a PEM file with the certificate of this client",
        example: "/etc/flux/client.crt",
        set: |address, value| {
            client_files(address).certificate = path(value)?;
            Some(())
        },
    },
    Parameter {
        name: "sslkey",
        expected: "the path of a PEM file with the private key of this client, not encrypted",
        example: "/etc/flux/client.key",
        set: |address, value| {
            client_files(address).key = path(value)?;
            Some(())
        },
    },
    Parameter {
        name: "target_session_attrs",
        expected: "any, read-write, read-only, primary or standby",
        example: "read-write",
        set: |address, value| {
            address.wanted = match value {
                "any" => Wanted::Any,
                "read-write" => Wanted::ReadWrite,
                "read-only" => Wanted::ReadOnly,
                "primary" => Wanted::Primary,
                "standby" => Wanted::Standby,
                _ => return None,
            };
            Some(())
        },
    },
    Parameter {
        name: "load_balance_hosts",
        expected: "disable or random",
        example: "disable",
        set: |address, value| {
            address.order = match value {
                "disable" => Order::AsGiven,
                "random" => Order::Random,
                _ => return None,
            };
            Some(())
        },
    },
    Parameter {
        name: "channel_binding",
        expected: "disable, prefer or require",
        example: "require",
        set: |address, value| {
            address.channel_binding = match value {
                "disable" => ChannelBinding::Disable,
                "prefer" => ChannelBinding::Prefer,
                "require" => ChannelBinding::Require,
                _ => return None,
            };
            Some(())
        },
    },
    Parameter {
        name: "application_name",
        expected: "a text, of which PostgreSQL keeps 63 bytes",
        example: "flux",
        set: |address, value| {
            address.application_name = Some(value.to_owned());
            Some(())
        },
    },
    Parameter {
        name: "options",
        expected: "options for the start of the server process",
        example: "-c%20geqo=off",
        set: |address, value| {
            address.options = Some(value.to_owned());
            Some(())
        },
    },
    Parameter {
        name: "connect_timeout",
        expected: "a whole number of seconds, 0 for no limit",
        example: "5",
        set: |address, value| {
            address.connect_timeout = nonzero(seconds(value)?);
            Some(())
        },
    },
    Parameter {
        name: "keepalives",
        expected: "1 or 0",
        example: "1",
        set: |address, value| {
            address.keepalive.on = match value {
                "1" => Switch::On,
                "0" => Switch::Off,
                _ => return None,
            };
            Some(())
        },
    },
    Parameter {
        name: "keepalives_idle",
        expected: "a whole number of seconds, from 1",
        example: "10",
        set: |address, value| {
            address.keepalive.idle = nonzero(seconds(value)?)?;
            Some(())
        },
    },
    Parameter {
        name: "keepalives_interval",
        expected: "a whole number of seconds, from 1",
        example: "5",
        set: |address, value| {
            address.keepalive.interval = nonzero(seconds(value)?)?;
            Some(())
        },
    },
    Parameter {
        name: "keepalives_count",
        expected: "a whole number from 1 to 127",
        example: "3",
        set: |address, value| {
            let count = value.parse().ok();
            address.keepalive.count = count.filter(|count| (1..=127).contains(count))?;
            Some(())
        },
    },
    Parameter {
        name: "tcp_user_timeout",
        expected: "a whole number of milliseconds, 0 for the default",
        example: "10000",
        set: |address, value| {
            let milliseconds: u32 = value.parse().ok()?;
            address.tcp_user_timeout = nonzero(Duration::from_millis(milliseconds.into()));
            Some(())
        },
    },
    Parameter {
        name: "pgbouncer",
        expected: "true or false",
        example: "true",
        set: |address, value| {
            address.pooler = match value {
                "true" => Pooler::Transaction,
                "false" => Pooler::None,
                _ => return None,
            };
            Some(())
        },
    },
    Parameter {
        name: "host",
        expected: "hosts with commas between them",
        example: "db1.example.com,db2.example.com",
        set: |address, value| {
            let host = |name: &str| {
                let place = parse::place(name.to_owned())?;
                let port = Host::DEFAULT_PORT;
                Some(Host { place, port })
            };
            address.hosts = value.split(',').map(host).collect::<Option<_>>()?;
            Some(())
        },
    },
    Parameter {
        name: "port",
        expected: "ports from 1 to 65535 with commas between them",
        example: "5432",
        // `apply` pairs them with the hosts when all parameters are known.
        set: |_, value| ports(value).map(|_| ()),
    },
    Parameter {
        name: "user",
        expected: "a name",
        example: "flux",
        set: |address, value| {
            address.user = (!value.is_empty()).then(|| value.to_owned());
            Some(())
        },
    },
    Parameter {
        name: "password",
        expected: "a text",
        example: "secret",
        set: |address, value| {
            address.password = (!value.is_empty()).then(|| value.to_owned());
            Some(())
        },
    },
    Parameter {
        name: "passfile",
        expected: "the path of a file as libpq's ~/.pgpass",
        example: "/etc/flux/pgpass",
        set: |address, value| {
            address.passfile = Some(path(value)?);
            Some(())
        },
    },
    Parameter {
        name: "dbname",
        expected: "a name",
        example: "flux",
        set: |address, value| {
            address.database = (!value.is_empty()).then(|| value.to_owned());
            Some(())
        },
    },
];

pub(super) const SSL_MODES: [(&str, SslMode); 6] = [
    ("disable", SslMode::Disable),
    ("allow", SslMode::Allow),
    ("prefer", SslMode::Prefer),
    ("require", SslMode::Require),
    ("verify-ca", SslMode::VerifyCa),
    ("verify-full", SslMode::VerifyFull),
];

/// Puts everything after the `?` into the address, and judges what goes together.
pub(super) fn apply(address: &mut Address, given: &[(String, String)]) -> Result<(), AddressError> {
    let mut seen = HashSet::new();
    for (name, value) in given {
        let parameter = find(name).ok_or_else(|| unknown(name, given))?;
        if !seen.insert(parameter.name) {
            return Err(AddressError::Twice {
                name: parameter.name,
            });
        }
        parameter.put(address, value)?;
    }
    let port = given.iter().find(|(name, _)| name == "port");
    if let Some(ports) = port.and_then(|(_, value)| ports(value)) {
        pair(address, &ports)?;
    }
    judge(address)
}

/// Puts one value into the address.
pub(super) fn set(
    address: &mut Address,
    name: &'static str,
    value: &str,
) -> Result<(), AddressError> {
    find(name).map_or(Ok(()), |parameter| parameter.put(address, value))
}

fn find(name: &str) -> Option<&'static Parameter> {
    PARAMETERS.iter().find(|parameter| parameter.name == name)
}

impl Parameter {
    fn put(&self, address: &mut Address, value: &str) -> Result<(), AddressError> {
        (self.set)(address, value).ok_or_else(|| AddressError::Value {
            name: self.name,
            value: value.to_owned(),
            expected: self.expected,
            example: self.example,
        })
    }
}

/// A password with a bare `&` goes on in what looks like a name, which is then not repeated.
fn unknown(name: &str, given: &[(String, String)]) -> AddressError {
    let distance = |parameter: &&Parameter| strsim::damerau_levenshtein(name, parameter.name);
    let closest = PARAMETERS
        .iter()
        .min_by_key(distance)
        .unwrap_or(&PARAMETERS[0]);
    let secret = given.iter().any(|(name, _)| name == "password");
    AddressError::Unknown {
        name: if secret { "***" } else { name }.to_owned(),
        closest: closest.name,
        example: closest.example,
    }
}

fn pair(address: &mut Address, ports: &[u16]) -> Result<(), AddressError> {
    if address.hosts.is_empty() {
        address.hosts.push(Host::local());
    }
    let hosts = address.hosts.len();
    if ports.len() != 1 && ports.len() != hosts {
        let ports = ports.len();
        return Err(AddressError::Ports { ports, hosts });
    }
    for (host, port) in address.hosts.iter_mut().zip(ports.iter().cycle()) {
        host.port = *port;
    }
    Ok(())
}

/// What libpq refuses too: settings that would give less protection than they seem to.
fn judge(address: &Address) -> Result<(), AddressError> {
    let wrong = |reason, example| Err(AddressError::Together { reason, example });
    let tls = &address.tls;
    let client = tls.identity.as_ref();
    if client.is_some_and(|files| files.certificate.as_os_str().is_empty()) {
        return wrong(
            "sslkey without sslcert",
            "sslcert=client.crt&sslkey=client.key",
        );
    }
    if client.is_some_and(|files| files.key.as_os_str().is_empty()) {
        return wrong(
            "sslcert without sslkey",
            "sslcert=client.crt&sslkey=client.key",
        );
    }
    if tls.roots == Some(Roots::System) && tls.mode != SslMode::VerifyFull {
        return wrong(
            "sslrootcert=system without sslmode=verify-full, so that anybody's certificate would do",
            "sslmode=verify-full&sslrootcert=system",
        );
    }
    if tls.mode == SslMode::VerifyCa && tls.roots.is_none() {
        return wrong(
            "sslmode=verify-ca without sslrootcert, so that anybody's certificate would do",
            "sslmode=verify-ca&sslrootcert=/etc/flux/ca.crt",
        );
    }
    Ok(())
}

fn client_files(address: &mut Address) -> &mut ClientFiles {
    address.tls.identity.get_or_insert_with(|| ClientFiles {
        certificate: "".into(),
        key: "".into(),
    })
}

/// Lower case only, so that it is the same with and without quotes.
fn is_schema(name: &str) -> bool {
    let begins = name.starts_with(|first: char| first.is_ascii_lowercase() || first == '_');
    let others = name
        .chars()
        .all(|other| other.is_ascii_lowercase() || other.is_ascii_digit() || other == '_');
    let reserved = name.starts_with("pg_") || name == "information_schema";
    begins && others && name.len() <= 40 && !reserved
}

fn path(value: &str) -> Option<std::path::PathBuf> {
    (!value.is_empty()).then(|| value.into())
}

fn seconds(value: &str) -> Option<Duration> {
    let seconds: u16 = value.parse().ok()?;
    Some(Duration::from_secs(seconds.into()))
}

fn nonzero(duration: Duration) -> Option<Duration> {
    (!duration.is_zero()).then_some(duration)
}

fn ports(value: &str) -> Option<Vec<u16>> {
    value.split(',').map(parse::parse_port).collect()
}
