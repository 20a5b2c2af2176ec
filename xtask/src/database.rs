//! The PostgreSQL server that the tests of one run share, each with a database of its own.

use flux_testkit_postgres::{Server, VARIABLE, installed};
use std::process::Command;

/// Runs until it is dropped, or until we die.
pub struct Database(Option<Server>);

impl Database {
    /// Starts it, unless the environment names another one or this machine has none.
    ///
    /// # Errors
    /// A sentence that says why it does not start.
    pub fn start() -> Result<Database, String> {
        if std::env::var_os(VARIABLE).is_some_and(|url| !url.is_empty()) {
            println!("PostgreSQL: the server that {VARIABLE} names");
            return Ok(Database(None));
        }
        if !installed() {
            return Ok(Database(None));
        }
        let server = Server::for_sharing()?;
        println!(
            "PostgreSQL: started one for all tests, {VARIABLE}={}",
            server.url()
        );
        Ok(Database(Some(server)))
    }

    /// Lets the tests that this command runs find it.
    pub fn tell<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        if let Some(server) = &self.0 {
            command.env(VARIABLE, server.url());
        }
        command
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        if self.0.take().is_some() {
            println!("PostgreSQL: stopped");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tests_are_told_where_the_server_is() {
        if !installed() {
            return;
        }
        let database = Database(Some(Server::start()));
        let mut command = Command::new("true");
        database.tell(&mut command);
        let told = command.get_envs().next().expect("one variable");
        let url = told.1.and_then(std::ffi::OsStr::to_str).expect("a URL");
        assert_eq!(told.0, VARIABLE);
        let rows = flux_testkit_postgres::Endpoint::new(url).psql("select 1");
        assert_eq!(rows, ["1"]);
    }
}
