//! Several engines do at the same moment what must not depend on who is first.
//!
//! Each case gets several openings of one database, as so many engines would have them, and lets
//! them race, round after round. A store that does not keep them apart loses a wake-up, a signal
//! or a cancellation sooner or later.

use flux_core::branch::{BranchState, RunState};
use flux_core::ids::Incarnation;
use flux_core::ports::branches::{Claimed, Committed, JoinWake, Release, ReleaseTo, Then, Wait};
use flux_core::ports::operations::{Change, Operated, Operations};
use futures_util::future::{join, join_all};
use std::collections::BTreeSet;
use std::sync::Arc;

use crate::store_suite::Ports;
use crate::store_suite::fixture::*;

/// One engine's view of the database.
pub struct Opening {
    ports: Ports,
    operations: Arc<dyn Operations>,
}

impl Opening {
    /// Of one store.
    pub fn new(ports: Ports, operations: Arc<dyn Operations>) -> Opening {
        Opening { ports, operations }
    }

    async fn change(&self, run: u32, change: Change) -> Operated {
        let changed = self.operations.change(run_id(run), change, at(30)).await;
        changed.expect("it is answered")
    }
}

impl std::ops::Deref for Opening {
    type Target = Ports;

    fn deref(&self) -> &Ports {
        &self.ports
    }
}

/// Openings of one database, of which nobody has used one yet.
pub type Openings = Vec<Opening>;

/// How often each race is run.
const ROUNDS: u32 = 40;

/// The branches of a split.
const WIDTH: u32 = 6;

/// The last branches of a split end on different engines at once: the parent wakes.
pub async fn the_last_arrivals_wake_the_parent(openings: Openings) {
    let owner = begin(&openings).await;
    for round in 0..ROUNDS {
        let (first, numbers) = (round * 100 + 1, round * 100 + 11..round * 100 + 11 + WIDTH);
        openings[0].submit(vec![run(first)]).await;
        let parent = take(&openings[0], owner, first).await;
        let wait = Wait {
            join: Some(JoinWake {
                ok: WIDTH,
                fault: 1,
            }),
            branches: numbers.map(new_branch).collect(),
            ..Wait::default()
        };
        openings[0].stored(commit(&parent, Then::Wait(wait))).await;
        let branches = openings[0].claims(owner, 100, 1_000_000).await.branches;
        assert_eq!(branches.len(), WIDTH as usize, "round {round}");
        end_all(&openings, &branches).await;
        let woken = openings[0].claims(owner, 100, 1_000_000).await.branches;
        assert_eq!(
            woken.len(),
            1,
            "round {round}: the parent has not been woken"
        );
        assert_eq!(woken[0].arrivals.len(), WIDTH as usize, "round {round}");
        openings[0]
            .stored(commit(&woken[0], ends(completed())))
            .await;
    }
}

/// Signals come while a listener begins to wait: it is woken, and none is left out.
pub async fn a_listener_sees_every_signal(openings: Openings) {
    let owner = begin(&openings).await;
    for round in 0..ROUNDS {
        let number = round + 1;
        openings[0].submit(vec![listening(number, None)]).await;
        let mut branch = take(&openings[0], owner, number).await;
        let (mut seen, mut after) = (BTreeSet::new(), 0);
        let listen = async {
            while seen.len() < WIDTH as usize {
                let wait = Wait {
                    signals_after: Some(after),
                    ..Wait::default()
                };
                openings[0].stored(commit(&branch, Then::Wait(wait))).await;
                branch = take(&openings[0], owner, number).await;
                assert!(
                    !branch.signals.is_empty(),
                    "round {round}: woken for nothing"
                );
                for signal in &branch.signals {
                    assert!(signal.seq > after, "round {round}: numbered backwards");
                    after = signal.seq;
                    assert!(seen.insert(signal.json.clone()), "round {round}: twice");
                }
            }
        };
        join(listen, send(&openings, round, number)).await;
        openings[0].stored(commit(&branch, ends(completed()))).await;
    }
}

/// Signals from every engine but the first, all at once.
async fn send(openings: &Openings, round: u32, number: u32) {
    let sent = (0..WIDTH).map(async |sender| {
        let ports = &openings[1 + sender as usize % (openings.len() - 1)];
        let event = event(&format!("{round}-{sender}"), "kind");
        ports.signal(number, event).await;
    });
    join_all(sent).await;
}

/// Engines that claim at the same time never take more slots than there are, and leave none unused.
pub async fn slots_are_neither_exceeded_nor_lost(openings: Openings) {
    const SLOTS: u32 = 5;
    let owner = begin(&openings).await;
    openings[0].throttle("ns/wf", Some(SLOTS), None).await;
    for round in 0..ROUNDS {
        let numbers = round * 100 + 1..round * 100 + 21;
        openings[0].submit(numbers.map(run).collect()).await;
        let mut done = 0;
        while done < 20 {
            let claims = openings.iter().map(async |ports| {
                let taken = ports.claims(owner, 7, 1_000_000).await;
                taken.branches
            });
            let mut running: Vec<Claimed> = join_all(claims).await.into_iter().flatten().collect();
            assert!(running.len() <= SLOTS as usize, "round {round}");
            // Whoever was kept out by another claim gets its turn.
            running.extend(openings[0].claims(owner, 100, 1_000_000).await.branches);
            let slots = (SLOTS as usize).min(20 - done);
            assert_eq!(running.len(), slots, "round {round}, {done} done");
            end_all(&openings, &running).await;
            done += running.len();
        }
    }
    openings[0].throttle("ns/wf", None, None).await;
}

/// Engines that claim at the same time share the branches: each has one owner.
pub async fn a_branch_is_claimed_once(openings: Openings) {
    let owner = begin(&openings).await;
    for round in 0..ROUNDS {
        let numbers = round * 100 + 1..round * 100 + 51;
        openings[0].submit(numbers.map(run).collect()).await;
        let claims = openings.iter().map(async |ports| {
            let mut mine = Vec::new();
            loop {
                let taken = ports.claims(owner, 7, 1_000_000).await.branches;
                if taken.is_empty() {
                    return mine;
                }
                mine.extend(taken);
            }
        });
        let mut taken: Vec<Claimed> = join_all(claims).await.into_iter().flatten().collect();
        // Skipped by all while one had it locked: a moment later it is there.
        taken.extend(openings[0].claims(owner, 100, 1_000_000).await.branches);
        let branches: BTreeSet<_> = taken.iter().map(|claimed| claimed.branch).collect();
        assert_eq!((taken.len(), branches.len()), (50, 50), "round {round}");
        end_all(&openings, &taken).await;
    }
}

/// A run is cancelled while its branch splits: nothing of it is left.
pub async fn nothing_survives_a_cancellation(openings: Openings) {
    let owner = begin(&openings).await;
    for round in 0..ROUNDS {
        let number = round * 100 + 1;
        openings[0].submit(vec![run(number)]).await;
        let parent = take(&openings[0], owner, number).await;
        let wait = Wait {
            join: Some(JoinWake { ok: 2, fault: 2 }),
            branches: vec![new_branch(number + 10), new_branch(number + 11)],
            ..Wait::default()
        };
        let split = commit(&parent, Then::Wait(wait));
        let cancel = openings[1].change(number, Change::Cancel);
        let (_, cancelled) = join(openings[0].commit(split), cancel).await;
        assert_eq!(cancelled, Operated::Done, "round {round}");
        let record = openings[0].run(number).await;
        assert_eq!(record.state, RunState::Cancelled, "round {round}");
        for branch in openings[0].branches(number).await {
            assert_eq!(branch.state, BranchState::Finished, "round {round}");
        }
    }
}

/// Two engines ask for the last place in the cluster: one gets it.
pub async fn the_last_place_is_taken_once(openings: Openings) {
    use flux_core::ports::members::Joined;
    let limit = 3;
    openings[0].engine(1).await;
    openings[0].engine(2).await;
    let joins = (0..12).map(async |number| {
        let ports = &openings[number as usize % openings.len()];
        let joined = ports.members().join(member(10 + number), limit, at(0));
        joined.await.expect("it is answered")
    });
    let joined = join_all(joins).await;
    let in_time = joined.iter().filter(|joined| **joined == Joined::Yes);
    assert_eq!(in_time.count(), 1);
}

/// What one engine is asked takes effect on a run of another one at its next commit.
pub async fn a_pause_stops_the_owner_at_its_next_commit(openings: Openings) {
    let (owner, number) = (begin(&openings).await, 1);
    let [here, there] = [&openings[0], &openings[1]];
    here.submit(vec![run(number)]).await;
    let mut claimed = take(here, owner, number).await;
    assert_eq!(there.change(number, Change::Pause).await, Operated::Done);
    let record = here.run(number).await;
    assert_eq!(record.state, RunState::Running, "until the next commit");
    let committed = here.commit(commit(&claimed, Then::Run)).await;
    assert!(
        matches!(committed, Committed::Yes { paused: true, .. }),
        "{committed:?}"
    );
    claimed.fence.commit_no = claimed.fence.commit_no.next();
    let release = Release {
        branch: claimed.branch,
        fence: claimed.fence,
        now: at(21),
        to: ReleaseTo::Ready,
    };
    assert_eq!(here.store().release(release).await, Ok(true));
    assert_eq!(here.run(number).await.state, RunState::Suspended);
    assert_eq!(here.branch(number, number).await.state, BranchState::Paused);
    assert!(here.claims(owner, 10, 99).await.branches.is_empty());
    for _again in 0..2 {
        assert_eq!(there.change(number, Change::Resume).await, Operated::Done);
    }
    here.goes_on(take(here, owner, number).await).await;
}

/// A paused branch is woken like any other, and stays until the end of the pause.
pub async fn what_wakes_while_it_is_paused_goes_on_afterwards(openings: Openings) {
    let (owner, number) = (begin(&openings).await, 1);
    let [here, there] = [&openings[0], &openings[1]];
    here.submit(vec![listening(number, None)]).await;
    let claimed = take(here, owner, number).await;
    let wait = Wait {
        signals_after: Some(0),
        due_at: Some(at(40)),
        ..Wait::default()
    };
    here.stored(commit(&claimed, waits(wait))).await;
    assert_eq!(there.change(number, Change::Pause).await, Operated::Done);
    here.signal(number, event("a", "kind")).await;
    assert_eq!(here.run(number).await.state, RunState::Suspended);
    assert!(here.claims(owner, 10, 99).await.branches.is_empty());
    assert_eq!(there.change(number, Change::Resume).await, Operated::Done);
    assert_eq!(take(here, owner, number).await.signals.len(), 1);
}

/// What waits for a time is due at once.
pub async fn an_expedited_run_waits_for_no_time(openings: Openings) {
    let (owner, number) = (begin(&openings).await, 1);
    let [here, there] = [&openings[0], &openings[1]];
    here.submit(vec![run(number)]).await;
    let claimed = take(here, owner, number).await;
    let wait = Wait {
        due_at: Some(at(600)),
        ..Wait::default()
    };
    here.stored(commit(&claimed, waits(wait))).await;
    assert!(here.claims(owner, 10, 31).await.branches.is_empty());
    assert_eq!(there.change(number, Change::Expedite).await, Operated::Done);
    assert_eq!(here.claims(owner, 10, 31).await.branches.len(), 1);
}

/// A run that goes on is not removed, and one that has ended is, with all that was kept for it.
pub async fn only_what_has_ended_is_removed(openings: Openings) {
    let (owner, number) = (begin(&openings).await, 1);
    let [here, there] = [&openings[0], &openings[1]];
    here.submit(vec![run(number)]).await;
    let claimed = take(here, owner, number).await;
    let refused = Operated::Illegal(RunState::Running);
    assert_eq!(there.change(number, Change::Remove).await, refused);
    here.stored(commit(&claimed, ends(completed()))).await;
    let ended = Operated::Illegal(RunState::Completed);
    assert_eq!(there.change(number, Change::Pause).await, ended);
    assert_eq!(there.change(number, Change::Remove).await, Operated::Done);
    assert_eq!(here.store().run(run_id(number)).await, Ok(None));
    assert_eq!(here.store().history(run_id(number)).await, Ok(Vec::new()));
    assert_eq!(
        there.change(number, Change::Remove).await,
        Operated::NotFound
    );
}

async fn begin(openings: &Openings) -> Incarnation {
    openings[0].deploy().await;
    openings[0].engine(1).await
}

/// The only branch that is about to become ready.
async fn take(ports: &Ports, owner: Incarnation, number: u32) -> Claimed {
    let mut taken = None;
    let what = format!("the branch of run {number} is ready");
    crate::wait_until_async(&what, crate::PATIENCE, async || {
        taken = ports.claims(owner, 1, 1_000_000).await.branches.pop();
        taken.is_some()
    })
    .await;
    taken.expect("it was taken")
}

/// Branches end on all engines at once.
async fn end_all(openings: &Openings, branches: &[Claimed]) {
    let ended = branches.iter().enumerate().map(async |(number, branch)| {
        let ports = &openings[number % openings.len()];
        ports.stored(commit(branch, ends(completed()))).await;
    });
    join_all(ended).await;
}

/// Makes a test of each race; `$openings` is an `async fn` that opens a new database several times.
#[macro_export]
macro_rules! race_suite {
    ($openings:ident) => {
        $crate::race_suite!(@tests $openings,
            the_last_arrivals_wake_the_parent,
            a_listener_sees_every_signal,
            a_branch_is_claimed_once,
            slots_are_neither_exceeded_nor_lost,
            nothing_survives_a_cancellation,
            the_last_place_is_taken_once,
            a_pause_stops_the_owner_at_its_next_commit,
            what_wakes_while_it_is_paused_goes_on_afterwards,
            an_expedited_run_waits_for_no_time,
            only_what_has_ended_is_removed,
        );
    };
    (@tests $openings:ident, $($case:ident,)*) => {
        $(#[tokio::test]
        async fn $case() {
            $crate::races::$case($openings().await).await;
        })*
    };
}
