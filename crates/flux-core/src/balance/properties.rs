//! Random clusters, honest and not.

use proptest::prelude::*;

use super::tests::{
    STALENESS, at, cluster, incarnation, load, parts_of_new, report, scored, shares,
};
use super::*;

fn any_count() -> impl Strategy<Value = Vec<Load>> {
    prop::collection::vec((0_u32..60, 0_u32..60).prop_map(|(r, c)| load(r, c)), 1..40)
}

fn any_scored() -> impl Strategy<Value = Vec<Load>> {
    let engine = (0_u32..60, 0_u32..60, 0.0..100.0_f64, 0_u32..80);
    let engine = engine.prop_map(|(running, concurrency, available, claimed)| Load {
        score: Some(Score { available, claimed }),
        ..load(running, concurrency)
    });
    prop::collection::vec(engine, 1..40)
}

fn any_cluster() -> impl Strategy<Value = Vec<Load>> {
    prop_oneof![any_count(), any_scored()]
}

/// Whatever fits the types.
fn any_load() -> impl Strategy<Value = Load> {
    let number = prop_oneof![Just(0), Just(u32::MAX), 0_u32..100, any::<u32>()];
    let score = prop::option::of((any::<f64>(), number.clone()));
    (number.clone(), number, score).prop_map(|(running, concurrency, score)| Load {
        running,
        concurrency,
        score: score.map(|(available, claimed)| Score { available, claimed }),
    })
}

fn free(loads: &[Load]) -> u32 {
    loads.iter().map(Load::free).sum()
}

proptest! {
    #[test]
    fn what_all_know_is_shared_out_exactly(loads in any_cluster(), ready in 0_u32..3_000) {
        let shares = shares(&loads, ready);
        prop_assert_eq!(shares.iter().sum::<u32>(), ready.min(free(&loads)));
        for (share, load) in shares.iter().zip(&loads) {
            prop_assert!(*share <= load.free());
        }
    }

    #[test]
    fn what_a_submission_keeps_is_its_part_and_the_ties(loads in any_count(), new in 0_u32..3_000) {
        let (parts, shares) = (parts_of_new(&loads, new), shares(&loads, new));
        for (me, load) in loads.iter().enumerate() {
            prop_assert!((shares[me]..=shares[me] + 1).contains(&parts[me]), "{parts:?}");
            prop_assert!(parts[me] <= new.min(load.free()));
        }
    }

    #[test]
    fn counts_differ_by_at_most_one(loads in any_count(), ready in 0_u32..3_000) {
        let shares = shares(&loads, ready);
        let after = |i: usize| loads[i].running + shares[i];
        // Whoever took one is at most one above everybody who could have taken it.
        for taker in (0..loads.len()).filter(|&i| shares[i] > 0) {
            for other in (0..loads.len()).filter(|&i| shares[i] < loads[i].free()) {
                prop_assert!(after(taker) <= after(other) + 1, "{shares:?}");
            }
        }
    }

    #[test]
    fn shares_are_proportional_to_resources(
        scores in prop::collection::vec(0.01..1.0_f64, 2..30),
        ready in 0_u32..2_000,
    ) {
        let loads: Vec<_> = scores.iter().map(|score| scored(0, u32::MAX, *score)).collect();
        let shares = shares(&loads, ready);
        let sum: f64 = scores.iter().sum();
        for (share, score) in shares.iter().zip(&scores) {
            // D'Hondt gives at least the quota rounded down, and little more to the largest.
            let quota = f64::from(ready) * score / sum;
            let spare = 0.01 + quota * 0.01;
            prop_assert!(f64::from(*share) >= (quota - spare).floor(), "{shares:?}");
            let most = (quota + score / sum * scores.len() as f64).ceil() + spare;
            prop_assert!(f64::from(*share) <= most, "{shares:?}");
        }
    }

    #[test]
    fn more_work_is_never_a_smaller_share(loads in any_cluster(), ready in 0_u32..2_000) {
        for (fewer, more) in shares(&loads, ready).iter().zip(shares(&loads, ready + 1)) {
            prop_assert!(*fewer <= more);
        }
    }

    #[test]
    fn who_runs_more_claims_no_more(loads in any_count(), ready in 0_u32..2_000) {
        let before = shares(&loads, ready);
        let mut loads = loads;
        loads[0].running += 1;
        prop_assert!(shares(&loads, ready)[0] <= before[0]);
    }

    #[test]
    fn who_has_more_resources_claims_no_less(loads in any_scored(), ready in 0_u32..2_000) {
        let before = shares(&loads, ready);
        let mut loads = loads;
        if let Some(score) = &mut loads[0].score {
            score.available *= 1.5;
        }
        prop_assert!(shares(&loads, ready)[0] >= before[0]);
    }

    #[test]
    fn the_order_of_reports_is_irrelevant(
        loads in any_cluster(),
        shuffled in prop::collection::vec(any::<prop::sample::Index>(), 40..41),
        ready in 0_u32..2_000,
    ) {
        let mut one = Balancer::new(incarnation(1_000), STALENESS);
        let mut other = one.clone();
        let mut reports: Vec<_> = (0..).zip(&loads).map(|(i, load)| report(i, *load)).collect();
        reports.iter().for_each(|report| one.hear(*report));
        for (i, index) in shuffled.iter().enumerate().take(reports.len()) {
            let j = index.index(reports.len());
            reports.swap(i, j);
        }
        reports.iter().for_each(|report| other.hear(*report));
        let own = loads[0];
        prop_assert_eq!(one.share(&own, ready, at(0)), other.share(&own, ready, at(0)));
    }

    #[test]
    fn a_hostile_report_costs_a_grace_and_no_more(
        own in any_load(),
        hostile in prop::collection::vec(any_load(), 0..40),
        looks in prop::collection::vec((any::<u32>(), 0_u64..400), 1..20),
    ) {
        let mut me = Balancer::new(incarnation(1_000), STALENESS);
        for (i, load) in (0..).zip(&hostile) {
            me.hear(report(i, *load));
        }
        let mut now = 0;
        for (ready, pause) in looks {
            let share = me.share(&own, ready, at(now));
            prop_assert!(share.claim <= own.free().min(ready));
            prop_assert_eq!(share.look_again.is_none(), share.claim == own.free().min(ready));
            now += pause;
        }
    }

    #[test]
    fn nothing_waits_for_longer_than_the_grace(
        own in any_load(),
        hostile in prop::collection::vec(any_load(), 0..40),
        ready in 1_u32..,
    ) {
        let mut me = Balancer::new(incarnation(1_000), STALENESS);
        for (i, load) in (0..).zip(&hostile) {
            me.hear(report(i, *load));
        }
        // Nobody else takes anything, and nothing that this engine claims ends.
        let (mut running, mut ready, mut now) = (own.running, ready, at(0));
        let deadline = now.plus(GRACE);
        loop {
            let load = Load { running, ..own };
            let share = me.share(&load, ready, now);
            running += share.claim;
            ready -= share.claim;
            let Some(pause) = share.look_again else { break };
            prop_assert!(!pause.is_zero());
            now = now.plus(pause);
            prop_assert!(now <= deadline);
        }
        prop_assert!(ready == 0 || running >= own.concurrency);
    }

    #[test]
    fn who_looks_later_leaves_nothing_undone(
        loads in any_cluster(),
        ready in 0_u32..2_000,
        order in prop::collection::vec(any::<prop::sample::Index>(), 200..201),
    ) {
        // Each looks at what the ones before have left, at any time, until the grace has passed.
        let mut balancers = cluster(&loads);
        let mut loads = loads;
        let room = free(&loads);
        let mut rest = ready;
        let indices = order.iter().map(|index| index.index(loads.len()));
        let after = (0..loads.len()).map(|i| (at(1_000), i));
        let looks: Vec<_> = (0..).zip(indices).map(|(ms, i)| (at(ms), i)).chain(after).collect();
        for (now, i) in looks {
            let share = balancers[i].share(&loads[i], rest, now).claim;
            loads[i].running += share;
            rest -= share;
        }
        let last: Vec<_> = (0..loads.len()).map(|i| (at(2_000), i)).collect();
        for (now, i) in last {
            let share = balancers[i].share(&loads[i], rest, now).claim;
            loads[i].running += share;
            rest -= share;
        }
        prop_assert_eq!(rest, ready.saturating_sub(room));
    }
}
