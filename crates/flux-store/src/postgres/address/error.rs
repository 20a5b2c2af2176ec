//! What is wrong with a URL, where, and what would be right. Never the password, nor the URL.

/// Why a text is not the address of a PostgreSQL database.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// It does not begin with `postgres://` or `postgresql://`.
    #[error(
        "the address of the database must begin with postgres:// or postgresql://; \
         for example postgres://flux@db.example.com/flux"
    )]
    Scheme,
    /// A `@` after the hosts: a character of the password ends it too early.
    #[error(
        "the address of the database has `@` after its hosts; within a user, a password, a name or \
         a value write `@` as %40, `/` as %2F, `?` as %3F and `#` as %23, for example \
         postgres://flux:p%40ss%2Fword@db.example.com/flux"
    )]
    Unescaped,
    /// `%` without two hexadecimal digits, or bytes that are no text.
    #[error(
        "{place} of the address of the database has a `%` that begins no UTF-8 character; \
         a `%` itself is written %25, for example postgres://flux:100%25@db.example.com/flux"
    )]
    Encoding {
        /// Which part.
        place: Part,
    },
    /// A NUL, which PostgreSQL ends its texts with.
    #[error("{place} of the address of the database has a NUL character; leave out %00")]
    Nul {
        /// Which part.
        place: Part,
    },
    /// The port of a host is no port.
    #[error(
        "the port of host {number} in the address of the database is not a number from 1 to 65535; \
         for example postgres://flux@db1.example.com:5432,db2.example.com:5433/flux \
         (a `/`, `?` or `:` in a password is written %2F, %3F, %3A)"
    )]
    Port {
        /// The place of the host in the list, from 1.
        number: usize,
    },
    /// A host without a name beside others that have one, or with a broken bracket.
    #[error(
        "host {number} in the address of the database is not a host; for example \
         postgres://flux@db1.example.com,[::1]:5433,%2Fvar%2Frun%2Fpostgresql/flux"
    )]
    Host {
        /// The place of the host in the list, from 1.
        number: usize,
    },
    /// As many ports as hosts, or one for all.
    #[error(
        "the address of the database has {ports} ports for {hosts} hosts; give each host its port, \
         or one port for all, for example ?host=db1,db2&port=5432"
    )]
    Ports {
        /// How many ports.
        ports: usize,
        /// How many hosts.
        hosts: usize,
    },
    /// A parameter without `=`.
    #[error(
        "parameter {number} in the address of the database has no `=`; \
         for example ?sslmode=verify-full&schema=flux"
    )]
    NoValue {
        /// Its place after the `?`, from 1.
        number: usize,
    },
    /// A parameter that nobody knows.
    #[error(
        "`{name}` in the address of the database is no parameter; did you mean `{closest}`? \
         For example ?{closest}={example}"
    )]
    Unknown {
        /// What the URL says.
        name: String,
        /// The known name that is most like it.
        closest: &'static str,
        /// A value it might have.
        example: &'static str,
    },
    /// A parameter given twice.
    #[error("`{name}` is given twice in the address of the database; keep one")]
    Twice {
        /// The parameter.
        name: &'static str,
    },
    /// A value that the parameter cannot have.
    #[error(
        "`{name}={value}` in the address of the database is not valid: {name} is {expected}; \
         for example {name}={example}"
    )]
    Value {
        /// The parameter.
        name: &'static str,
        /// What the URL says.
        value: String,
        /// What the parameter takes.
        expected: &'static str,
        /// A value it might have.
        example: &'static str,
    },
    /// Parameters that do not go together.
    #[error("{reason} in the address of the database; for example {example}")]
    Together {
        /// What contradicts what.
        reason: &'static str,
        /// Parameters that go together.
        example: &'static str,
    },
}

/// A part of a URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Before the `:`.
    User,
    /// Between `:` and `@`.
    Password,
    /// Between `@` and `/`.
    Host,
    /// Between `/` and `?`.
    Database,
    /// After the `?`.
    Parameter,
}

impl std::fmt::Display for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::User => "the user",
            Self::Password => "the password",
            Self::Host => "a host",
            Self::Database => "the database name",
            Self::Parameter => "a parameter",
        })
    }
}
