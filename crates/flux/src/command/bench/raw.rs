//! The store without an engine: what it can do at most with the same statements.

use super::Bench;
use super::cost::Gauge;
use super::report::Load;
use crate::exit::Failure;
use crate::wiring;
use flux_core::clock::Clock;
use flux_core::ids::Incarnation;
use flux_core::ports::branches::{ClaimRequest, Claimed, Commit, Committed, Fence, Then};
use flux_core::ports::members::NewMember;
use flux_core::ports::runs::Outcome;
use flux_failover::SystemClock;
use flux_store::Store;
use futures_util::future::try_join_all;
use std::time::{Duration, Instant};
use uuid::Uuid;

/// Commits of one run.
const COMMITS: usize = 3;

/// Submits, claims and commits `runs` runs, `batch` at a time.
pub async fn measure(bench: &Bench, runs: u32, batch: u32) -> Result<Load, Failure> {
    // A store of its own: when it is closed, the server has told all of it.
    let store = wiring::database(&bench.config).await?;
    let gauge = Gauge::start(&bench.config).await?;
    let me = join(&*store).await?;
    let before = store.stats();
    let begin = Instant::now();
    let mut left = runs;
    while left > 0 {
        let size = left.min(batch);
        one_batch(bench, &*store, me, size).await?;
        left -= size;
    }
    let took = begin.elapsed();
    let did = store.stats().since(before);
    store.members().leave(me).await?;
    drop(store);
    let cost = gauge.stop(did).await?;
    Ok(Load::new(runs, COMMITS as u32, took, did, cost))
}

async fn join(store: &dyn Store) -> Result<Incarnation, Failure> {
    let member = NewMember {
        incarnation: Incarnation::new(Uuid::now_v7()),
        name: "bench".to_owned(),
        window: Duration::from_secs(180),
        host: String::new(),
        pid: std::process::id(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        pool: None,
        concurrency: 1,
        address: None,
    };
    let me = member.incarnation;
    let members = store.members();
    members.join(member, 35, SystemClock.now()).await?;
    Ok(me)
}

async fn one_batch(
    bench: &Bench,
    store: &dyn Store,
    me: Incarnation,
    size: u32,
) -> Result<(), Failure> {
    store.submit(bench.runs(size as usize)).await?;
    let request = ClaimRequest {
        owner: me,
        limit: size,
        pool: None,
        now: SystemClock.now(),
        alone_from: u32::MAX,
        count: 0,
    };
    let mut claimed = store.claim(request).await?.branches;
    for step in 1..=COMMITS {
        let commits = claimed
            .iter()
            .map(|branch| store.commit(commit(branch, step == COMMITS)));
        for (branch, committed) in claimed.clone().iter().zip(try_join_all(commits).await?) {
            if committed == Committed::Fenced {
                return Err(Failure::new(
                    1,
                    format!("branch {} was fenced", branch.branch),
                ));
            }
        }
        for branch in &mut claimed {
            branch.fence = Fence {
                commit_no: branch.fence.commit_no.next(),
                ..branch.fence
            };
        }
    }
    Ok(())
}

fn commit(claimed: &Claimed, last: bool) -> Commit {
    let then = match last {
        false => Then::Run,
        true => Then::End {
            outcome: Outcome::Completed {
                output: r#"{"step":3,"order":4711}"#.to_owned(),
            },
            context: None,
            run: false,
        },
    };
    Commit {
        branch: claimed.branch,
        run: claimed.run,
        fence: claimed.fence,
        now: SystemClock.now(),
        memory: claimed.memory.clone(),
        node: "/do/1/second".to_owned(),
        then,
        history:
            r#"[{"type":"completed","task":"first","node":"/do/0/first","started":0,"ended":0}]"#
                .to_owned(),
        consumed: Vec::new(),
        published: Vec::new(),
        join_over: None,
        spawned: Vec::new(),
    }
}
