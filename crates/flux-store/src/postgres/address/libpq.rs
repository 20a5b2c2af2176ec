//! The address for programs that use libpq, such as `pgbench`.

use super::parameters::SSL_MODES;
use super::{Address, Place, Roots, Wanted};
use std::path::Path;

impl Address {
    /// The variables that lead such a program to the same servers, database and schema. One of them is the
    /// password: it belongs into an environment, never among the arguments, which all may read.
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        let path = |path: &Path| path.display().to_string();
        let (mut places, mut ports) = (Vec::new(), Vec::new());
        for host in &self.hosts {
            places.push(match &host.place {
                Place::Tcp(name) => name.clone(),
                Place::Unix(folder) => path(folder),
            });
            ports.push(host.port.to_string());
        }
        let mode = SSL_MODES.iter().find(|(_, mode)| *mode == self.tls.mode);
        let wanted = match self.wanted {
            Wanted::Any => "any",
            Wanted::ReadWrite => "read-write",
            Wanted::ReadOnly => "read-only",
            Wanted::Primary => "primary",
            Wanted::Standby => "standby",
        };
        let options = self.options.iter().map(String::as_str);
        let schema = format!("-c search_path={}", self.schema);
        let options: Vec<&str> = options.chain([schema.as_str()]).collect();
        let identity = self.tls.identity.as_ref();
        let given = [
            ("PGHOST", Some(places.join(","))),
            ("PGPORT", Some(ports.join(","))),
            ("PGUSER", self.user.clone()),
            ("PGPASSWORD", self.password.clone()),
            ("PGPASSFILE", self.passfile.as_deref().map(path)),
            ("PGDATABASE", self.database.clone()),
            ("PGOPTIONS", Some(options.join(" "))),
            ("PGTARGETSESSIONATTRS", Some(wanted.to_owned())),
            ("PGSSLMODE", mode.map(|(name, _)| (*name).to_owned())),
            (
                "PGSSLROOTCERT",
                self.tls.roots.as_ref().map(Roots::for_libpq),
            ),
            ("PGSSLCERT", identity.map(|files| path(&files.certificate))),
            ("PGSSLKEY", identity.map(|files| path(&files.key))),
        ];
        let given = given.into_iter();
        given
            .filter_map(|(name, value)| Some((name, value?)))
            .collect()
    }
}

impl Roots {
    fn for_libpq(&self) -> String {
        match self {
            Self::System => "system".to_owned(),
            Self::File(file) => file.display().to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_variables_say_what_the_url_says() {
        let url =
            "postgres://me:secret@one:5433,two/work?sslmode=require&schema=mine&options=-c%20x%3D1";
        let address: Address = url.parse().expect("the URL is right");
        let variables = address.environment();
        let of = |name| {
            let found = variables.iter().find(|(variable, _)| *variable == name);
            found.map(|(_, value)| value.as_str())
        };
        assert_eq!(of("PGHOST"), Some("one,two"));
        assert_eq!(of("PGPORT"), Some("5433,5432"));
        assert_eq!(of("PGUSER"), Some("me"));
        assert_eq!(of("PGPASSWORD"), Some("secret"));
        assert_eq!(of("PGDATABASE"), Some("work"));
        assert_eq!(of("PGSSLMODE"), Some("require"));
        assert_eq!(of("PGOPTIONS"), Some("-c x=1 -c search_path=mine"));
        assert_eq!(of("PGSSLCERT"), None);
    }
}
