//! `flux cluster`

use crate::config::Config;
use crate::exit::Failure;
use crate::output::{self, Format};
use crate::wiring;
use flux_core::clock::{Clock, Timestamp};
use flux_core::ports::members::{Member, MemberState};
use flux_failover::SystemClock;
use serde_json::{Value, json};

/// See [`super::Command`].
#[derive(clap::Subcommand)]
pub enum Args {
    /// Shows the engines
    Status {
        /// How to print
        #[arg(long, short, value_enum, default_value_t)]
        output: Format,
    },
    /// Shows which engines died, and how many branches were taken over
    Failovers {
        /// How to print
        #[arg(long, short, value_enum, default_value_t)]
        output: Format,
    },
}

pub async fn run(args: &Args, config: &Config) -> Result<(), Failure> {
    let store = wiring::store(config).await?;
    match args {
        Args::Status { output } => {
            let members = store.members().members().await?;
            status(&members, *output, SystemClock.now())?;
        }
        Args::Failovers { output } => {
            let all = store.failovers(100).await?;
            let values = all.iter().map(|f| {
                json!({"engine": f.from_name, "incarnation": f.from.to_string(), "by": f.by.to_string(),
                       "at": f.at.to_string(), "evidence": f.evidence, "branches": f.branches})
            });
            if *output != Format::Table {
                let values: Vec<Value> = values.collect();
                return output::document(*output, &json!({ "failovers": values }));
            }
            let rows = all.iter().map(|f| {
                vec![
                    f.at.to_string(),
                    f.from_name.clone(),
                    f.branches.to_string(),
                    f.evidence.clone(),
                ]
            });
            output::table(&["at", "engine", "branches", "evidence"], rows.collect());
        }
    }
    Ok(())
}

/// By the calendar, for people; the engines themselves judge by what they observe.
fn standing(member: &Member, now: Timestamp) -> &'static str {
    match member.state {
        MemberState::Dead => "dead",
        MemberState::Draining => "draining",
        MemberState::Alive if now.since(member.heartbeat_at) > member.window / 2 => "suspect",
        MemberState::Alive => "alive",
    }
}

fn status(members: &[Member], format: Format, now: Timestamp) -> Result<(), Failure> {
    let age = |member: &Member| now.since(member.heartbeat_at).as_secs_f64();
    if format != Format::Table {
        let engines: Vec<Value> = members
            .iter()
            .map(|member| {
                json!({
                    "name": member.name,
                    "incarnation": member.incarnation.to_string(),
                    "state": standing(member, now),
                    "heartbeat_age_s": age(member),
                    "window_s": member.window.as_secs_f64(),
                    "running": member.running,
                    "host": member.host,
                    "pid": member.pid,
                    "version": member.version,
                    "started_at": member.started_at.to_string(),
                })
            })
            .collect();
        return output::document(format, &json!({ "engines": engines }));
    }
    let rows = members.iter().map(|member| {
        vec![
            member.name.clone(),
            standing(member, now).to_owned(),
            format!("{:.1} s", age(member)),
            format!("{} s", member.window.as_secs()),
            member.running.to_string(),
            format!("{}/{}", member.host, member.pid),
        ]
    });
    output::table(
        &[
            "engine",
            "state",
            "heartbeat",
            "window",
            "running",
            "host/pid",
        ],
        rows.collect(),
    );
    let differ = members
        .iter()
        .any(|member| member.window != members[0].window);
    if differ {
        output::note(
            "warning: the engines have different failover time windows; each is judged by its own",
        );
    }
    Ok(())
}
