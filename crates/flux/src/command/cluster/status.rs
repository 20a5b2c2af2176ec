//! `flux cluster status`

use super::warning::{Warning, warnings};
use crate::exit::Failure;
use crate::output::{self, Format};
use flux_core::explain::standing;
use flux_core::labels::is_private;
use flux_core::ownership::wrong_clocks;
use flux_core::ports::members::Member;
use serde_json::{Value, json};

pub fn print(members: &[Member], format: Format) -> Result<(), Failure> {
    let warnings = warnings(members);
    if format != Format::Table {
        let engines: Vec<Value> = members.iter().map(json).collect();
        let warnings: Vec<Value> = warnings.iter().map(Warning::json).collect();
        let value = json!({"engines": engines, "warnings": warnings});
        return output::document(format, &value);
    }
    output::data(&table(members));
    for warning in warnings {
        output::note(&format!("warning: {}", warning.message));
    }
    Ok(())
}

/// An engine as JSON.
fn json(member: &Member) -> Value {
    json!({
        "name": member.name,
        "incarnation": member.incarnation.to_string(),
        "state": standing(member),
        "heartbeat_no": member.heartbeat_seq,
        "heartbeat_at": member.heartbeat_at.to_string(),
        "heartbeat_age_s": member.heartbeat_age.as_secs_f64(),
        "window_s": member.window.as_secs_f64(),
        "clock_offset_s": member.clock_offset.as_secs_f64(),
        "running": member.running,
        "heard_age_s": member.heard.map(|age| age.as_secs_f64()),
        "concurrency": member.concurrency,
        "labels": member.pool.as_deref().filter(|pool| !is_private(Some(pool))),
        "host": member.host,
        "pid": member.pid,
        "version": member.version,
        "started_at": member.started_at.to_string(),
    })
}

/// The engines as rows. Clocks have a column when one of them is wrong; so has the network when an engine
/// tells, which knows whom it hears.
pub fn table(members: &[Member]) -> String {
    let clocks = !wrong_clocks(members).is_empty();
    let mut header = vec!["engine", "state", "heartbeat", "window", "running"];
    header.extend(clocks.then_some("clock"));
    let network = members.iter().any(|member| member.heard.is_some());
    header.extend(network.then_some("network"));
    header.push("host/pid");
    let row = |member: &Member| {
        let mut row = vec![
            member.name.clone(),
            standing(member).to_owned(),
            format!("{:.1} s", member.heartbeat_age.as_secs_f64()),
            format!("{} s", member.window.as_secs_f64()),
            format!("{}/{}", member.running, member.concurrency),
        ];
        row.extend(clocks.then(|| match member.clock_offset {
            offset if offset.is_notable() => offset.to_string(),
            _ => String::new(),
        }));
        row.extend(network.then(|| match (&member.address, member.heard) {
            (None, _) => "off".to_owned(),
            (Some(_), Some(_)) => "heard".to_owned(),
            (Some(_), None) => "not heard".to_owned(),
        }));
        row.push(format!("{}/{}", member.host, member.pid));
        row
    };
    output::table_text(&header, members.iter().map(row).collect())
}

#[cfg(test)]
mod tests {
    use super::super::samples::{ahead, engine};
    use super::*;
    use flux_core::ports::members::MemberState;
    use std::time::Duration;

    fn lines(members: &[Member]) -> Vec<String> {
        let table = table(members);
        table.lines().map(|line| line.trim().to_owned()).collect()
    }

    #[test]
    fn a_row_tells_where_an_engine_stands() {
        let silent = Member {
            heartbeat_age: Duration::from_millis(15_100),
            running: 10,
            ..engine("brian", 2)
        };
        assert_eq!(
            lines(&[engine("ada", 1), silent]),
            [
                "ENGINE  STATE    HEARTBEAT  WINDOW  RUNNING  HOST/PID",
                "ada     alive    1.0 s      30 s    3/10     host/4711",
                "brian   suspect  15.1 s     30 s    10/10    host/4711",
            ]
        );
    }

    #[test]
    fn wrong_clocks_get_a_column() {
        let members = [engine("ada", 1), ahead(engine("brian", 2), 3600)];
        assert_eq!(
            lines(&members),
            [
                "ENGINE  STATE  HEARTBEAT  WINDOW  RUNNING  CLOCK      HOST/PID",
                "ada     alive  1.0 s      30 s    3/10                host/4711",
                "brian   alive  1.0 s      30 s    3/10     +3600.0 s  host/4711",
            ]
        );
    }

    #[test]
    fn an_engine_tells_whom_it_hears() {
        let heard = |name, number, address: Option<&str>, heard| Member {
            address: address.map(str::to_owned),
            heard,
            ..engine(name, number)
        };
        let (here, now) = (Some("http://10.0.0.7:7520"), Some(Duration::ZERO));
        let members = [
            heard("ada", 1, here, now),
            heard("brian", 2, here, None),
            heard("chris", 3, None, None),
        ];
        assert_eq!(
            lines(&members),
            [
                "ENGINE  STATE  HEARTBEAT  WINDOW  RUNNING  NETWORK    HOST/PID",
                "ada     alive  1.0 s      30 s    3/10     heard      host/4711",
                "brian   alive  1.0 s      30 s    3/10     not heard  host/4711",
                "chris   alive  1.0 s      30 s    3/10     off        host/4711",
            ]
        );
    }

    #[test]
    fn dead_is_dead_and_a_silent_engine_that_drains_is_suspect() {
        let with = |state, age_s| Member {
            state,
            heartbeat_age: Duration::from_secs(age_s),
            ..engine("ada", 1)
        };
        assert_eq!(standing(&with(MemberState::Dead, 0)), "dead");
        assert_eq!(standing(&with(MemberState::Draining, 15)), "draining");
        assert_eq!(standing(&with(MemberState::Draining, 16)), "suspect");
        assert_eq!(standing(&with(MemberState::Alive, 15)), "alive");
    }
}
