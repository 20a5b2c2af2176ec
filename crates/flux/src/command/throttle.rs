//! `flux throttle`

use crate::config::Config;
use crate::exit::{Failure, NOT_FOUND};
use crate::output::{self, Format};
use crate::wiring;
use flux_core::ports::throttles::ThrottleRecord;
use flux_core::throttle::{Limits, Scope, Throttle};
use flux_store::Store;
use serde_json::{Value, json};

/// See [`super::Command`].
#[derive(clap::Subcommand)]
pub enum Args {
    /// Lists the throttles, who holds their slots, and how much waits for one
    List {
        /// How to print
        #[arg(long, short, value_enum, default_value_t)]
        output: Format,
    },
    /// Sets how many branches of a workflow, or of a whole namespace, run at the same time
    ///
    /// What runs already goes on, and counts. 0 holds everything back that is not started
    /// yet. A limit that is left out is no limit.
    ///
    /// Examples:
    ///   flux throttle set finance/nightly-close --cluster 1
    ///   flux throttle set finance --cluster 20 --per-engine 4
    #[command(verbatim_doc_comment)]
    #[command(group = clap::ArgGroup::new("limits").required(true).multiple(true))]
    Set {
        /// NAMESPACE or NAMESPACE/WORKFLOW
        scope: Scope,
        /// At most so many branches in the whole cluster
        #[arg(long, value_name = "N", group = "limits")]
        cluster: Option<u32>,
        /// At most so many branches on each engine
        #[arg(long = "per-engine", value_name = "N", group = "limits")]
        per_engine: Option<u32>,
    },
    /// Removes a throttle: nothing is held back any more
    Remove {
        /// NAMESPACE or NAMESPACE/WORKFLOW
        scope: Scope,
    },
}

pub async fn run(args: &Args, config: &Config) -> Result<(), Failure> {
    let store = wiring::store(config).await?;
    match args {
        Args::List { output } => list(&store.throttles().await?, *output),
        Args::Set {
            scope,
            cluster,
            per_engine,
        } => {
            let limits = Limits {
                cluster: *cluster,
                engine: *per_engine,
            };
            let scope = scope.clone();
            Ok(store.throttle(Throttle { scope, limits }).await?)
        }
        Args::Remove { scope } => remove(&*store, scope).await,
    }
}

async fn remove(store: &dyn Store, scope: &Scope) -> Result<(), Failure> {
    let throttles = store.throttles().await?;
    if !throttles
        .iter()
        .any(|record| record.throttle.scope == *scope)
    {
        let text = format!("there is no throttle of `{scope}`");
        return Err(Failure::new(NOT_FOUND, text).help("`flux throttle list` shows them"));
    }
    let throttle = Throttle {
        scope: scope.clone(),
        limits: Limits::default(),
    };
    Ok(store.throttle(throttle).await?)
}

fn list(all: &[ThrottleRecord], format: Format) -> Result<(), Failure> {
    if format != Format::Table {
        let all: Vec<Value> = all.iter().map(record_json).collect();
        return output::document(format, &json!({ "throttles": all }));
    }
    let limit = |limit: Option<u32>| limit.map_or("-".to_owned(), |limit| limit.to_string());
    let rows = all.iter().map(|record| {
        let holder = |(engine, running): &(String, u32)| format!("{engine} {running}");
        let holders: Vec<String> = record.holders.iter().map(holder).collect();
        vec![
            record.throttle.scope.to_string(),
            limit(record.throttle.limits.cluster),
            limit(record.throttle.limits.engine),
            holders.join(", "),
            record.waiting.to_string(),
        ]
    });
    let titles = ["scope", "cluster", "per engine", "running", "waiting"];
    output::table(&titles, rows.collect());
    Ok(())
}

fn record_json(record: &ThrottleRecord) -> Value {
    let holder = |(engine, running): &(String, u32)| json!({"engine": engine, "running": running});
    let holders: Vec<Value> = record.holders.iter().map(holder).collect();
    json!({
        "scope": record.throttle.scope.to_string(),
        "cluster": record.throttle.limits.cluster,
        "per_engine": record.throttle.limits.engine,
        "holders": holders,
        "waiting": record.waiting,
    })
}
