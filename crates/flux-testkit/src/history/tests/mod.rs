//! The checker is checked: a good history passes, and each way to break one is refused.

mod broken;
mod good;

use super::{Entry, Evidence, Report, Rules, Verdict};
use broken::BREAKS;
use good::Story;
use proptest::prelude::*;
use std::time::Duration;

fn check(evidence: &Evidence) -> Report {
    evidence.check(&Rules {
        slack: Duration::from_secs(1),
        ..Rules::default()
    })
}

#[test]
fn history_a_good_one_passes_and_leaves_nothing_unchecked() {
    let report = check(&Story::default().tell());
    for finding in &report.findings {
        assert_eq!(finding.verdict, Verdict::Holds, "{report}");
    }
    report.assert();
}

#[test]
fn history_every_property_refuses_a_broken_one_with_its_reason() {
    let good = Story::default().tell();
    for broken in BREAKS {
        let mut evidence = good.clone();
        (broken.how)(&mut evidence, 0);
        let report = check(&evidence);
        let Verdict::Broken(violations) = report.verdict(broken.rule) else {
            panic!("{} was not refused:\n{report}", broken.name)
        };
        let text = violations[0].to_string();
        assert!(text.contains(broken.says), "{}: {text}", broken.name);
        assert!(report.to_string().contains(broken.says), "{report}");
    }
    let rules: Vec<_> = check(&good).findings.iter().map(|f| f.rule).collect();
    for rule in rules {
        assert!(
            BREAKS.iter().any(|broken| broken.rule == rule),
            "{rule} is never broken"
        );
    }
}

#[test]
fn history_without_evidence_nothing_is_said_to_hold() {
    let report = check(&Evidence::default());
    for finding in &report.findings {
        let unchecked = matches!(finding.verdict, Verdict::NotChecked(_));
        assert!(unchecked, "{report}");
    }
    assert!(report.to_string().contains("S1  not checked"), "{report}");
}

#[test]
fn history_a_machine_that_stood_still_excuses_what_only_timing_protects() {
    let mut evidence = Story::default().tell();
    broken::by_name("an action outlives its owner's trust").apply(&mut evidence);
    assert_eq!(check(&evidence).broken(), ["L3"]);
    let last = evidence
        .marks
        .iter()
        .map(|mark| mark.at)
        .max()
        .unwrap_or_default();
    evidence.deeds.push(super::Deed {
        at: last,
        did: super::Did::Stalled(0),
    });
    assert_eq!(check(&evidence).broken(), [""; 0]);
}

#[test]
fn history_who_could_not_reach_the_database_has_time_from_then_on() {
    let mut evidence = Story::default().tell();
    broken::by_name("the dead are found late").apply(&mut evidence);
    let convicted = |entry: &&Entry| matches!(entry.what, super::What::Convicted { .. });
    let late = evidence.trail.iter().find(convicted).map(|entry| entry.at);
    let late = late.expect("somebody is declared dead");
    for (ago, whom, broken) in [
        (1, None, &[] as &[&str]),
        (1, Some(2), &[]),
        (1, Some(3), &["L1"]),
        (6, None, &["L1"]),
    ] {
        let mut evidence = evidence.clone();
        let at = late - ago * good::SECOND;
        let did = super::Did::Disturbed(whom, late - 7 * good::SECOND);
        evidence.deeds.push(super::Deed { at, did });
        assert_eq!(check(&evidence).broken(), broken, "{ago} s ago: {whom:?}");
    }
}

#[test]
fn history_a_database_that_lost_its_last_commits_is_still_one_history() {
    let rules = Rules {
        slack: Duration::from_secs(1),
        lost_tail: true,
        ..Rules::default()
    };
    for (name, broken) in [
        ("an acknowledged commit is lost", &[] as &[&str]),
        ("a run is lost", &[]),
        ("a run is lost before it is claimed", &[]),
        ("a wait goes on twice", &[]),
        ("a commit is dropped", &["S2"]),
        ("an epoch goes back", &["S1"]),
        ("a run is over and a branch is not", &["S10"]),
        ("a conviction is early", &["S4"]),
    ] {
        let mut evidence = Story::default().tell();
        broken::by_name(name).apply(&mut evidence);
        let report = evidence.check(&rules);
        assert_eq!(report.broken(), broken, "{name}: {report}");
        let unchecked = matches!(report.verdict("S7"), Verdict::NotChecked(_));
        assert!(unchecked, "{report}");
    }
}

#[test]
#[should_panic(expected = "S3  BROKEN")]
fn history_a_broken_one_fails_its_test() {
    let mut evidence = Story::default().tell();
    broken::by_name("a run is lost").apply(&mut evidence);
    check(&evidence).assert();
}

proptest! {
    #[test]
    fn history_any_good_one_passes_and_any_break_of_it_is_refused(
        runs in 1..5_usize, steps in 2..6_usize, killed_at in 0..6_usize,
        which in 0..BREAKS.len(), pick: usize,
    ) {
        let story = Story { runs, steps, killed_at: killed_at % steps };
        let mut evidence = story.tell();
        let report = check(&evidence);
        prop_assert!(report.broken().is_empty(), "{report}");
        let broken = &BREAKS[which];
        (broken.how)(&mut evidence, pick);
        let report = check(&evidence);
        prop_assert!(report.broken().contains(&broken.rule), "{}: {report}", broken.name);
    }
}
