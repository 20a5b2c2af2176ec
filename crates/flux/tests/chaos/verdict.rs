//! After the last fault: everything ends as it must, and the history is judged.

use crate::clients::Started;
use crate::engines::Engines;
use crate::plan::ENGINES;
use crate::work::{Errand, Shape};
use crate::world::World;
use flux_testkit::history::{Evidence, Report, Rules, Verdict};
use flux_testkit::{PATIENCE, wait_until};
use serde_json::Value;
use std::collections::BTreeMap;

#[track_caller]
pub fn judge(world: &World, engines: &mut Engines, shapes: &[Shape], started: &[Started]) {
    everything_ends(world);
    wait_until("the dead are put away", PATIENCE, || {
        world.cluster.members().len() == ENGINES
    });
    assert!(engines.all_run());
    let evidence = world.cluster.evidence(Some(&world.witness));
    tell(&evidence);
    let rules = Rules {
        wrong_clocks: world.faketime.is_some(),
        ..Rules::default()
    };
    let report = evidence.check(&rules);
    eprintln!("{report}");
    stories(&evidence, &report);
    report.assert();
    results(world, &evidence, shapes, started);
}

#[track_caller]
fn everything_ends(world: &World) {
    let start = std::time::Instant::now();
    let within = Rules::default().finish_within;
    wait_until(
        "a moment has passed, or everything has ended",
        within * 2,
        || world.open_runs() == Some(0) || start.elapsed() > within,
    );
    let ask = |sql: &str| world.database.try_psql(sql);
    assert!(
        world.open_runs() == Some(0),
        "runs have not ended: {:#?}\nmembers: {:#?}\nlocks: {:#?}",
        ask("select b.*, r.name from flux.branch b join flux.run r on r.id = run_id"),
        ask("select * from flux.member"),
        ask(
            "select pid, application_name, state, wait_event, query from pg_stat_activity \
             where backend_type = 'client backend'"
        ),
    );
}

/// Each run gave what its definition says, and was started once.
#[track_caller]
fn results(world: &World, evidence: &Evidence, shapes: &[Shape], started: &[Started]) {
    let list = world.cluster.json(&["list", "--limit", "100000"]);
    let all = list["runs"].as_array().unwrap();
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    let lost_a_child = |run: &Value| {
        let children = shapes.iter().filter(|shape| {
            let parent = shape.child_of.map(|(parent, _)| parent);
            parent.is_some_and(|parent| run["name"] == parent)
        });
        let children: Vec<_> = children.map(|shape| shape.name).collect();
        let mut children = all
            .iter()
            .filter(|run| children.contains(&run["name"].as_str().unwrap()));
        children.any(|child| poisoned(evidence, child))
    };
    for run in all {
        let shape = shapes
            .iter()
            .find(|shape| run["name"] == shape.name)
            .unwrap();
        *counts.entry(shape.name).or_default() += 1;
        let may_be_cancelled = shape.errand == Errand::Cancel && run["state"] == "cancelled";
        if !may_be_cancelled && !poisoned(evidence, run) && !lost_a_child(run) {
            assert_eq!(run["state"], "completed", "{run:#}");
            assert_eq!(run["output"], shape.output, "{run:#}");
        }
    }
    let submitted = |name: &str| {
        let same = started
            .iter()
            .filter(|(_, shape)| shapes[*shape].name == name);
        same.count()
    };
    for shape in shapes {
        let count = counts.get(shape.name).copied().unwrap_or(0);
        let expected = match shape.child_of {
            Some((parent, children)) => submitted(parent) * children,
            None => submitted(shape.name),
        };
        // A parent that was given up may not have started all of its children.
        let fewer = shape.child_of.is_some() && all.iter().any(|run| poisoned(evidence, run));
        assert!(
            count == expected || (fewer && count < expected),
            "{count} runs of {}, not {expected}",
            shape.name
        );
    }
}

/// It lost its engines so often that it was given up, as it must be.
fn poisoned(evidence: &Evidence, run: &Value) -> bool {
    let run = evidence.record.run(run["id"].as_str().unwrap());
    run.is_some_and(|run| run.takeovers.iter().any(|takeover| takeover.poisoned))
}

fn tell(evidence: &Evidence) {
    let record = &evidence.record;
    let takeovers: Vec<_> = record.runs.iter().flat_map(|run| &run.takeovers).collect();
    let poisoned = takeovers
        .iter()
        .filter(|takeover| takeover.poisoned)
        .count();
    eprintln!(
        "{} runs, {} engines declared dead, {} takeovers, {poisoned} poisoned, {} marks, {} events",
        record.runs.len(),
        record.failovers.len(),
        takeovers.len(),
        evidence.marks.len(),
        evidence.trail.len()
    );
}

/// All that is known of the first branches that break a rule.
fn stories(evidence: &Evidence, report: &Report) {
    for finding in &report.findings {
        let Verdict::Broken(violations) = &finding.verdict else {
            continue;
        };
        for branch in violations.iter().filter_map(|v| v.branch.as_ref()).take(2) {
            eprintln!("{}: branch {branch}", finding.rule);
            let mut lines = Vec::new();
            let entries = evidence
                .trail
                .iter()
                .map(|entry| (entry.at, format!("{entry:?}")));
            lines.extend(entries.filter(|(_, line)| line.contains(branch.as_str())));
            let marks = evidence.marks.iter().filter(|mark| mark.branch() == branch);
            lines.extend(marks.map(|mark| (mark.at, format!("{mark:?}"))));
            lines.sort();
            lines
                .iter()
                .for_each(|(at, line)| eprintln!("  {at} {line}"));
        }
    }
}
