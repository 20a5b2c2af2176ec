//! An operation, and how to make random ones.

use flux_core::chart::Rest;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

/// What a caller of the store does; numbers name things by position, wrapped around.
#[derive(Clone, Debug)]
pub(super) enum Op {
    Submit {
        runs: Vec<Start>,
        /// The engine that takes so many of them, of its pool.
        taker: Option<(u8, u8, bool)>,
    },
    Claim {
        engine: u8,
        limit: u8,
        pool: bool,
    },
    Commit(Change),
    /// The commit sent last once more.
    CommitAgain,
    Release {
        claim: u8,
        wait: Option<Until>,
    },
    Signal {
        run: u8,
        event: u8,
    },
    Join {
        engine: u8,
        limit: u8,
        again: bool,
    },
    Heartbeat(u8),
    Convict {
        engine: u8,
        stale: bool,
    },
    TakeOver {
        engine: u8,
        limit: u8,
    },
    /// Closes a namespace or a workflow, or opens it again. Not in part: which of several equally
    /// urgent branches gets the last slot is for the store to choose.
    Throttle {
        namespace: bool,
        closed: bool,
    },
    Drain(u8),
    Leave(u8),
    Deploy {
        version: u8,
        due: Option<u8>,
        after: bool,
    },
    Fire {
        on_time: bool,
        next: bool,
        runs: Vec<Start>,
    },
}

/// A run to start.
#[derive(Clone, Debug)]
pub(super) struct Start {
    pub(super) priority: i8,
    pub(super) pool: bool,
    pub(super) request: Option<u8>,
    /// 0: to nothing, 1: to everything, else: to one type.
    pub(super) listens: u8,
    pub(super) defined: bool,
}

/// A commit.
#[derive(Clone, Debug)]
pub(super) struct Change {
    pub(super) claim: u8,
    /// 0 spoils the owner, 1 the epoch, 2 the commit number; anything else nothing.
    pub(super) spoil: u8,
    pub(super) then: Next,
    pub(super) consume: bool,
    pub(super) publish: Vec<u8>,
    pub(super) join_over: Option<Rest>,
    pub(super) spawn: Vec<Start>,
}

#[derive(Clone, Debug)]
pub(super) enum Next {
    Run,
    Wait {
        until: Until,
        branches: u8,
        child: Option<Start>,
    },
    End {
        outcome: u8,
        run: bool,
    },
}

/// What a branch waits for.
#[derive(Clone, Debug)]
pub(super) struct Until {
    /// Seconds from now.
    pub(super) due: Option<u8>,
    /// Whether the signals that were handed over count as seen.
    pub(super) signals: Option<bool>,
    pub(super) join: Option<(u8, u8)>,
}

pub(super) fn sequences() -> impl Strategy<Value = Vec<Op>> {
    vec(op(), 20..60)
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => (vec(start(), 1..4), option::of((0..3_u8, 1..3_u8, any::<bool>())))
            .prop_map(|(runs, taker)| Op::Submit { runs, taker }),
        8 => (0..3_u8, 0..6_u8, any::<bool>())
            .prop_map(|(engine, limit, pool)| Op::Claim { engine, limit, pool }),
        16 => change().prop_map(Op::Commit),
        1 => Just(Op::CommitAgain),
        2 => (any::<u8>(), option::of(until()))
            .prop_map(|(claim, wait)| Op::Release { claim, wait }),
        4 => (any::<u8>(), 0..8_u8).prop_map(|(run, event)| Op::Signal { run, event }),
        2 => of_members(),
        1 => (any::<bool>(), prop::bool::weighted(0.4))
            .prop_map(|(namespace, closed)| Op::Throttle { namespace, closed }),
        1 => (0..3_u8, any::<bool>())
            .prop_map(|(engine, stale)| Op::Convict { engine, stale }),
        2 => (0..3_u8, 1..4_u8).prop_map(|(engine, limit)| Op::TakeOver { engine, limit }),
        1 => (0..3_u8, option::of(0..20_u8), any::<bool>())
            .prop_map(|(version, due, after)| Op::Deploy { version, due, after }),
        2 => (any::<bool>(), any::<bool>(), vec(start(), 0..3))
            .prop_map(|(on_time, next, runs)| Op::Fire { on_time, next, runs }),
    ]
}

fn of_members() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => (0..3_u8, 1..4_u8, any::<bool>())
            .prop_map(|(engine, limit, again)| Op::Join { engine, limit, again }),
        2 => (0..3_u8).prop_map(Op::Heartbeat),
        1 => (0..3_u8).prop_map(Op::Drain),
        1 => (0..3_u8).prop_map(Op::Leave),
    ]
}

fn start() -> impl Strategy<Value = Start> {
    let pool = prop::bool::weighted(0.2);
    let defined = prop::bool::weighted(0.97);
    let request = option::weighted(0.2, 0..4_u8);
    (-1..2_i8, pool, request, 0..4_u8, defined).prop_map(
        |(priority, pool, request, listens, defined)| Start {
            priority,
            pool,
            request,
            listens,
            defined,
        },
    )
}

fn change() -> impl Strategy<Value = Change> {
    let rest = prop_oneof![Just(Rest::Cancel), Just(Rest::Leave)];
    let spawn = prop_oneof![9 => Just(Vec::new()), 1 => vec(start(), 1..3)];
    (
        any::<u8>(),
        0..40_u8,
        next(),
        any::<bool>(),
        vec(0..8_u8, 0..3),
        option::weighted(0.4, rest),
        spawn,
    )
        .prop_map(
            |(claim, spoil, then, consume, publish, join_over, spawn)| Change {
                claim,
                spoil,
                then,
                consume,
                publish,
                join_over,
                spawn,
            },
        )
}

fn next() -> impl Strategy<Value = Next> {
    prop_oneof![
        2 => Just(Next::Run),
        5 => (until(), 0..4_u8, option::weighted(0.3, start()))
            .prop_map(|(until, branches, child)| Next::Wait { until, branches, child }),
        4 => (0..3_u8, prop::bool::weighted(0.2))
            .prop_map(|(outcome, run)| Next::End { outcome, run }),
    ]
}

fn until() -> impl Strategy<Value = Until> {
    let join = option::of((0..3_u8, 1..3_u8));
    (option::of(0..9_u8), option::of(any::<bool>()), join).prop_map(|(due, signals, join)| Until {
        due,
        signals,
        join,
    })
}
