//! The password when the URL has none: `PGPASSWORD`, then a password file as libpq reads it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::postgres::address::{Address, Host, Place};

/// Where a password may be. Read anew for each connection, because passwords are changed.
pub(super) struct Sources {
    password: Option<String>,
    file: Option<PathBuf>,
    user: Option<String>,
    /// Who the process probably runs as: good enough to look for in a file.
    login: Option<String>,
}

impl Sources {
    pub(super) fn from_environment(address: &Address) -> Self {
        Self::from(address, &|name| std::env::var_os(name))
    }

    fn from(address: &Address, environment: &dyn Fn(&str) -> Option<OsString>) -> Self {
        let text = |name| environment(name).and_then(|value| value.into_string().ok());
        let given = |name| text(name).filter(|value| !value.is_empty());
        let home = || environment("HOME").map(|home| PathBuf::from(home).join(".pgpass"));
        Self {
            password: address.password.clone().or_else(|| given("PGPASSWORD")),
            file: address
                .passfile
                .clone()
                .or_else(|| given("PGPASSFILE").map(PathBuf::from))
                .or_else(home),
            user: address.user.clone().or_else(|| given("PGUSER")),
            login: given("USER"),
        }
    }

    /// Who connects; nothing leaves it to the name of the process's user.
    pub(super) fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }

    /// The password for one of the hosts.
    pub(super) fn password(&self, address: &Address, host: &Host) -> Option<String> {
        if self.password.is_some() {
            return self.password.clone();
        }
        let text = read(self.file.as_deref()?)?;
        let user = self.user.as_deref().or(self.login.as_deref())?;
        let database = address.database.as_deref().unwrap_or(user);
        let place = match &host.place {
            Place::Tcp(name) => name.clone(),
            Place::Unix(_) => "localhost".to_owned(),
        };
        let port = host.port.to_string();
        find(&text, &[&place, &port, database, user])
    }
}

/// A file that others may read is not used, as with libpq.
fn read(path: &Path) -> Option<String> {
    let text = std::fs::read_to_string(path).ok()?;
    if is_open_to_others(path) {
        let path = path.display();
        tracing::warn!("{path} is not used, because others may read it; run chmod 600 {path}");
        return None;
    }
    Some(text)
}

#[cfg(unix)]
fn is_open_to_others(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::metadata(path).is_ok_and(|file| file.permissions().mode() & 0o077 != 0)
}

#[cfg(not(unix))]
fn is_open_to_others(_: &Path) -> bool {
    false
}

/// The password of the first line whose four fields are those wanted, or `*`.
fn find(text: &str, wanted: &[&str; 4]) -> Option<String> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let mut fields = lines.map(split).filter(|fields| fields.len() == 5);
    let fits = |(field, wanted): (&String, &&str)| field == "*" || field == wanted;
    let mut line = fields.find(|fields| fields.iter().zip(wanted).all(fits))?;
    line.pop()
}

/// Fields end with `:`, which a backslash before it makes ordinary; the fifth takes all that is left.
fn split(line: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        let separates = character == ':' && fields.len() < 5;
        if separates {
            fields.push(String::new());
            continue;
        }
        let plain = match character {
            '\\' => characters.next().unwrap_or('\\'),
            other => other,
        };
        if let Some(field) = fields.last_mut() {
            field.push(plain);
        }
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "# comment:5432:a:b:no\n\
                        db1:5432:flux:anna:first\n\
                        db1:*:*:anna:second\n\
                        *:5433:we\\:ird:ben:pa\\\\ss:wo\\:rd\n\
                        broken line\n";

    #[test]
    fn the_first_line_that_fits_has_the_password() {
        let password = |wanted| find(FILE, &wanted);
        assert_eq!(
            password(["db1", "5432", "flux", "anna"]).as_deref(),
            Some("first")
        );
        assert_eq!(
            password(["db1", "5433", "flux", "anna"]).as_deref(),
            Some("second")
        );
        assert_eq!(
            password(["db2", "5433", "we:ird", "ben"]).as_deref(),
            Some("pa\\ss:wo:rd")
        );
        assert_eq!(password(["db2", "5432", "flux", "anna"]), None);
        assert_eq!(password(["# comment", "5432", "a", "b"]), None);
    }

    #[test]
    fn the_url_comes_before_the_environment_and_that_before_the_file() {
        let environment = |name: &str| (name == "PGPASSWORD").then(|| "outside".into());
        let of = |url: &str| {
            let address: Address = url.parse().expect("a URL");
            let sources = Sources::from(&address, &environment);
            sources.password(&address, &address.hosts[0])
        };
        assert_eq!(of("postgres://u:inside@h/d").as_deref(), Some("inside"));
        assert_eq!(of("postgres://u@h/d").as_deref(), Some("outside"));
    }

    #[cfg(unix)]
    #[test]
    fn a_password_file_that_others_may_read_is_not_used() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("pass");
        std::fs::write(&path, "h:5432:d:u:secret\n").expect("a file");
        let url = format!("postgres://u@h/d?passfile={}", path.display());
        let address: Address = url.parse().expect("a URL");
        let found = |mode| {
            let permissions = std::fs::Permissions::from_mode(mode);
            std::fs::set_permissions(&path, permissions).expect("permissions");
            Sources::from(&address, &|_| None).password(&address, &address.hosts[0])
        };
        assert_eq!(found(0o600).as_deref(), Some("secret"));
        assert_eq!(found(0o640), None);
    }
}
