//! What engines cost: processor time, memory, and what they ask of the server.

use flux_testkit::Flux;
use flux_testkit::postgres::Database;
use std::fmt;
use std::time::Instant;

/// Clock ticks in a second, in which Linux counts processor time for programs.
const TICKS: f64 = 100.0;

/// A measurement that goes on.
pub struct Figures<'w> {
    engines: &'w [Flux],
    database: Option<&'w Database>,
    since: Instant,
    before: Count,
}

/// What was counted until some moment.
struct Count {
    ticks: u64,
    transactions: u64,
    statements: Option<u64>,
}

/// What was measured, for each engine.
pub struct Measured {
    seconds: f64,
    processor: f64,
    memory_kb: u64,
    transactions: f64,
    statements: Option<f64>,
}

impl<'w> Figures<'w> {
    pub fn begin(engines: &'w [Flux], database: Option<&'w Database>) -> Figures<'w> {
        if let Some(database) = database {
            // Without the library this fails, and statements are not counted.
            let _ = database.try_psql("create extension pg_stat_statements");
        }
        Figures {
            engines,
            database,
            since: Instant::now(),
            before: Count::of(engines, database),
        }
    }

    pub fn end(self) -> Measured {
        let now = Count::of(self.engines, self.database);
        let seconds = self.since.elapsed().as_secs_f64();
        let engines = self.engines.len();
        let each = |count: u64| count as f64 / seconds / engines as f64;
        let memory_kb: u64 = self.engines.iter().map(memory_kb).sum();
        let statements = now.statements.zip(self.before.statements);
        Measured {
            seconds,
            processor: each(now.ticks - self.before.ticks) / TICKS,
            memory_kb: memory_kb / engines as u64,
            transactions: each(now.transactions - self.before.transactions),
            statements: statements.map(|(now, before)| each(now - before)),
        }
    }
}

impl Count {
    fn of(engines: &[Flux], database: Option<&Database>) -> Count {
        let number = |database: &Database, sql: &str| {
            let rows = database.try_psql(sql).ok()?;
            rows.first()?.parse().ok()
        };
        let transactions = "select xact_commit + xact_rollback from pg_stat_database \
                            where datname = current_database()";
        let statements = "select sum(calls) from pg_stat_statements where dbid = \
                          (select oid from pg_database where datname = current_database())";
        Count {
            ticks: engines.iter().map(ticks).sum(),
            transactions: database.and_then(|d| number(d, transactions)).unwrap_or(0),
            statements: database.and_then(|d| number(d, statements)),
        }
    }
}

/// Processor time of an engine so far.
fn ticks(engine: &Flux) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", engine.id())).unwrap();
    // After its name, which may contain anything, come the third field and those behind it.
    let (_, fields) = stat.rsplit_once(')').unwrap();
    let fields: Vec<&str> = fields.split_whitespace().collect();
    let [user, system] = [fields[11], fields[12]].map(|field| field.parse::<u64>().unwrap());
    user + system
}

fn memory_kb(engine: &Flux) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", engine.id())).unwrap();
    let mut lines = status.lines();
    let line = lines.find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim_end_matches("kB").trim().parse().unwrap()
}

impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "for each engine, over {:.0} s: {:.2} % of a processor, {} kB of memory, \
             {:.2} transactions/s",
            self.seconds,
            self.processor * 100.0,
            self.memory_kb,
            self.transactions
        )?;
        match self.statements {
            Some(statements) => write!(f, ", {statements:.2} statements/s"),
            None => Ok(()),
        }
    }
}
