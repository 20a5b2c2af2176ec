//! How each fault begins and ends.

use crate::plan::{ENGINES, Fault, Lock, Manner};
use crate::torment::Torment;
use crate::world::CONNECTIONS;
use flux_testkit::proxy::{Commits, Direction};
use std::io::Write;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

impl Torment<'_> {
    pub fn begin(&mut self, fault: &Fault, seed: u64) {
        let (engines, server) = (&mut self.engines, &self.world.server);
        match *fault {
            Fault::Kill { engine, .. } => engines.at(engine).kill9(),
            Fault::KillAll => (0..ENGINES).for_each(|engine| engines.at(engine).kill9()),
            Fault::Freeze { engine } => engines.at(engine).stop(),
            Fault::FreezeAll => (0..ENGINES).for_each(|engine| engines.at(engine).stop()),
            Fault::Drain { engine, .. } | Fault::DrainAndKill { engine } => {
                engines.at(engine).terminate();
            }
            Fault::Calendar { engine, seconds } => engines.set_calendar(engine, seconds),
            Fault::CutOff { way, manner } => cut_off(engines.way(way), manner),
            Fault::LoseCommits {
                way,
                cut,
                probability,
            } => engines.way(way).commits(Commits::Random {
                probability,
                seed,
                cut,
            }),
            Fault::Outage { mode } => server.stop(mode),
            Fault::Stall => server.freeze(),
            Fault::Lock { what } => {
                let session = self.session(&format!("begin; {}", what.statement()));
                self.sessions.push(session);
            }
            Fault::Terminate { share } => {
                let these = format!("application_name like 'flux %' and random() < {share}");
                server.kill_backends(&these);
            }
            Fault::Crowd => {
                for _ in 0..CONNECTIONS {
                    let session = self.session("select 1");
                    self.sessions.push(session);
                }
            }
            Fault::ReadOnly => server.configure("default_transaction_read_only", "on"),
        }
    }

    /// Whether it can end by now: an engine that drains takes its time.
    pub fn may_end(&mut self, fault: &Fault) -> bool {
        match *fault {
            Fault::Drain { engine, .. } => !self.engines.at(engine).runs(),
            _ => true,
        }
    }

    pub fn end(&mut self, fault: &Fault) {
        let (engines, server) = (&mut self.engines, &self.world.server);
        match *fault {
            Fault::Kill { engine, renamed } => engines.replace(engine, renamed),
            Fault::KillAll => (0..ENGINES).for_each(|engine| engines.replace(engine, true)),
            Fault::Freeze { engine } => engines.at(engine).cont(),
            Fault::FreezeAll => (0..ENGINES).for_each(|engine| engines.at(engine).cont()),
            Fault::Drain { engine, renamed } => engines.replace(engine, renamed),
            Fault::DrainAndKill { engine } => {
                engines.at(engine).kill9();
                engines.replace(engine, false);
            }
            Fault::Calendar { engine, .. } => engines.set_calendar(engine, 0),
            Fault::CutOff { way, .. } | Fault::LoseCommits { way, .. } => engines.way(way).pass(),
            Fault::Outage { .. } => server.start_again(),
            Fault::Stall => server.thaw(),
            Fault::Terminate { .. } => {}
            Fault::Lock { .. } | Fault::Crowd => self.sessions.drain(..).for_each(end_session),
            Fault::ReadOnly => server.configure("default_transaction_read_only", "off"),
        }
    }

    /// A client that says this and then nothing, with its connection open.
    fn session(&self, says: &str) -> Child {
        let mut session = Command::new("psql")
            .args(["-X", "-q", "-d", self.world.database.url()])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let input = session.stdin.as_mut().unwrap();
        // It may have been refused a connection, and be gone.
        let _ = input.write_all(format!("{says};\n").as_bytes());
        session
    }
}

/// The end of its connection ends its transaction.
fn end_session(mut session: Child) {
    session.kill().unwrap();
    session.wait().unwrap();
}

fn cut_off(way: &flux_testkit::proxy::Proxy, manner: Manner) {
    match manner {
        Manner::Reset => way.close_all(),
        Manner::Refused => {
            way.refuse();
            way.close_all();
        }
        Manner::Silent => way.black_hole(&Direction::BOTH),
        Manner::Deaf => way.black_hole(&[Direction::ToClient]),
        Manner::Mute => way.black_hole(&[Direction::ToServer]),
        Manner::Slow => way.delay(&Direction::BOTH, Duration::from_millis(160)),
    }
}

impl Lock {
    fn statement(self) -> String {
        match self {
            Lock::Table(table) => format!("lock table flux.{table} in access exclusive mode"),
            Lock::Rows(table, count) => {
                format!("select 1 from flux.{table} order by random() limit {count} for update")
            }
        }
    }
}

impl Fault {
    /// Whether it hinders the database, or the way to it.
    pub fn disturbs(&self) -> bool {
        !matches!(
            self,
            Fault::Kill { .. }
                | Fault::KillAll
                | Fault::Freeze { .. }
                | Fault::FreezeAll
                | Fault::Drain { .. }
                | Fault::DrainAndKill { .. }
                | Fault::Calendar { .. }
        )
    }
}
