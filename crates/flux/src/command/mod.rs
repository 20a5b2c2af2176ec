//! The commands; this file only dispatches.

mod bench;
mod change;
mod cluster;
mod config;
mod db;
mod demo;
mod generate;
mod health;
mod history;
mod input;
mod list;
mod live;
mod progress;
mod recover;
mod run;
mod schedule;
mod show;
mod signal;
mod start;
mod submit;
mod throttle;
mod validate;
mod watch;
mod why;
mod workflow;

use crate::config::{Config, Flags, load};
use crate::exit::{Failure, NOT_FOUND};
use flux_core::ids::RunId;
use flux_core::ports::operations::Change;
use flux_core::ports::runs::{RunFilter, RunRecord};
use flux_store::Store;

/// What `flux` can do.
#[derive(clap::Subcommand)]
pub enum Command {
    Run(run::Args),
    Start(start::Args),
    Submit(submit::Args),
    Validate(validate::Args),
    List(list::Args),
    Show(show::Args),
    Watch(watch::Args),
    History(history::Args),
    Why(why::Args),
    Signal(signal::Args),
    /// Holds runs back
    ///
    /// What is ready or waits stays where it is, and what runs stops at its next commit
    /// point. Sub-workflows are runs of their own, and go on.
    ///
    /// Example:
    ///   flux pause 0193 0194
    #[command(verbatim_doc_comment)]
    Pause(change::Args),
    /// Lets paused runs go on
    Resume(change::Args),
    /// Cancels runs, with the branches and sub-workflows that they wait for
    ///
    /// An engine that runs one of them is fenced at once, and stops its action within a
    /// second or so.
    ///
    /// Example:
    ///   flux cancel 0193 0194
    #[command(verbatim_doc_comment)]
    Cancel(change::Args),
    /// Makes due now what waits for a time: timers, retries, time-outs
    Expedite(change::Args),
    /// Removes runs that have ended, with their history
    Remove(change::Args),
    Recover(recover::Args),
    /// Definitions: deploy them, list them
    #[command(subcommand)]
    Workflow(workflow::Args),
    /// Schedules: when runs start by themselves
    #[command(subcommand)]
    Schedule(schedule::Args),
    /// Limits on how many branches run at the same time
    #[command(subcommand)]
    Throttle(throttle::Args),
    /// The engines on this store, and what failed over
    #[command(subcommand)]
    Cluster(cluster::Args),
    /// Settings: what is in force, and whether it is right
    #[command(subcommand)]
    Config(config::Args),
    /// The store: its place, state, backup and clearing out
    #[command(subcommand)]
    Db(db::Args),
    Health(health::Args),
    Demo(demo::Args),
    Bench(bench::Args),
    /// Prints a shell completion script
    Completions(generate::Completions),
    /// Prints the manual page, or writes all of them to a folder
    Man(generate::Man),
}

/// Runs the command.
pub fn dispatch(command: Command, flags: &Flags) -> Result<(), Failure> {
    match command {
        Command::Validate(args) => validate::run(&args),
        Command::Completions(args) => generate::completions(&args),
        Command::Man(args) => generate::man(&args),
        Command::Config(args) => config::run(&args, flags),
        Command::Demo(args) => demo::run(&args),
        other => {
            let config = load(flags)?;
            logging(&other, &config);
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .enable_all()
                // Reserved, not used: deep data must not overflow an expression's stack.
                .thread_stack_size(64 << 20)
                .build()
                .map_err(|error| Failure::new(1, format!("cannot start the runtime: {error}")))?;
            runtime.block_on(with_store(other, config))
        }
    }
}

async fn with_store(command: Command, config: Config) -> Result<(), Failure> {
    match command {
        Command::Run(args) => run::run(args, config).await,
        Command::Start(args) => start::run(&args, config).await,
        Command::Submit(args) => submit::run(args, &config).await,
        Command::List(args) => list::run(&args, &config).await,
        Command::Show(args) => show::run(&args, &config).await,
        Command::Watch(args) => watch::run(&args, &config).await,
        Command::History(args) => history::run(&args, &config).await,
        Command::Why(args) => why::run(&args, &config).await,
        Command::Signal(args) => signal::run(&args, &config).await,
        Command::Pause(args) => change::run(&args, Change::Pause, &config).await,
        Command::Resume(args) => change::run(&args, Change::Resume, &config).await,
        Command::Cancel(args) => change::run(&args, Change::Cancel, &config).await,
        Command::Expedite(args) => change::run(&args, Change::Expedite, &config).await,
        Command::Remove(args) => change::run(&args, Change::Remove, &config).await,
        Command::Recover(args) => recover::run(&args, &config).await,
        Command::Workflow(args) => workflow::run(&args, &config).await,
        Command::Schedule(args) => schedule::run(&args, &config).await,
        Command::Throttle(args) => throttle::run(&args, &config).await,
        Command::Cluster(args) => cluster::run(&args, &config).await,
        Command::Health(args) => health::run(&args, &config).await,
        Command::Bench(args) => bench::run(&args, config).await,
        Command::Db(args) => db::run(&args, &config).await,
        Command::Validate(_)
        | Command::Completions(_)
        | Command::Man(_)
        | Command::Config(_)
        | Command::Demo(_) => Ok(()),
    }
}

/// Logs go to standard error; an engine that runs in the foreground says more than a client.
fn logging(command: &Command, config: &Config) {
    use tracing_subscriber::EnvFilter;
    let default = if matches!(command, Command::Start(_)) {
        "info"
    } else {
        "error"
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    let logs = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(crate::output::colours())
        .with_writer(std::io::stderr);
    if config.json_logs {
        logs.json().init();
    } else {
        logs.with_target(false).init();
    }
}

/// The run with this id, or with the only id that begins like this.
pub async fn find_run(store: &dyn Store, text: &str) -> Result<RunRecord, Failure> {
    let missing = || {
        Failure::new(NOT_FOUND, format!("there is no run `{text}`"))
            .help("`flux list` shows the runs; the beginning of an id is enough")
    };
    if let Ok(id) = text.parse::<RunId>() {
        return store.run(id).await?.ok_or_else(missing);
    }
    let all = store
        .list(RunFilter {
            limit: 10_000,
            ..RunFilter::default()
        })
        .await?;
    let mut found = all
        .into_iter()
        .filter(|run| run.id.to_string().starts_with(text));
    match (found.next(), found.next()) {
        (Some(run), None) if !text.is_empty() => Ok(run),
        (Some(_), Some(_)) => Err(Failure::new(
            NOT_FOUND,
            format!("several runs begin with `{text}`"),
        )),
        _ => Err(missing()),
    }
}
