//! The catalogue and the schedules.

use std::time::Duration;

use flux_core::chart::ChartId;
use flux_core::ports::Error;
use flux_core::ports::definitions::{
    DefinitionRecord, Firing, NewDefinition, NewSchedule, ScheduleRecord,
};

use super::fixture::*;

fn scheduled(version: &str, source: &str, second: i64) -> NewDefinition {
    let schedule = NewSchedule {
        due_at: at(second),
        after: None,
    };
    NewDefinition {
        schedule: Some(schedule),
        ..definition("wf", version, source)
    }
}

fn firing(due: i64, next: Option<i64>, runs: &[u32]) -> Firing {
    Firing {
        name: name("wf", "1"),
        due_at: at(due),
        next: next.map(at),
        runs: runs.iter().map(|number| run(*number)).collect(),
    }
}

async fn deploy(ports: &Ports, definition: NewDefinition) {
    ports.store.deploy(definition).await.expect("deploy");
}

async fn only_schedule(ports: &Ports) -> ScheduleRecord {
    let mut schedules = ports.store.schedules().await.expect("schedules");
    assert_eq!(schedules.len(), 1);
    schedules.remove(0)
}

/// A stored definition is found by its content and by its name.
pub async fn a_definition_is_found(ports: Ports) {
    let chart = ChartId::of("source");
    assert_eq!(ports.store.source(&chart).await, Ok(None));
    assert_eq!(ports.store.find(&name("wf", "1")).await, Ok(None));
    ports.deploy().await;
    let source = ports.store.source(&chart).await;
    assert_eq!(source, Ok(Some("source".to_owned())));
    assert_eq!(ports.store.find(&name("wf", "1")).await, Ok(Some(chart)));
    assert_eq!(ports.store.find(&name("wf", "2")).await, Ok(None));
    assert_eq!(ports.store.find(&name("other", "1")).await, Ok(None));
}

/// `latest` is what was deployed last, whatever its version says.
pub async fn latest_is_what_was_deployed_last(ports: Ports) {
    for (version, source) in [("2", "b"), ("1", "a"), ("1", "c")] {
        deploy(&ports, definition("wf", version, source)).await;
    }
    // The same content again is not deployed again.
    deploy(&ports, definition("wf", "2", "b")).await;
    let find = async |version| ports.store.find(&name("wf", version)).await;
    assert_eq!(find("latest").await, Ok(Some(ChartId::of("c"))));
    assert_eq!(find("1").await, Ok(Some(ChartId::of("c"))));
    assert_eq!(find("2").await, Ok(Some(ChartId::of("b"))));
}

/// The same content again changes nothing.
pub async fn the_same_content_is_stored_once(ports: Ports) {
    ports.deploy().await;
    let again = NewDefinition {
        at: at(99),
        ..definition("wf", "1", "source")
    };
    deploy(&ports, again).await;
    deploy(&ports, definition("a", "1", "first by name")).await;
    let row = |called, source| DefinitionRecord {
        chart: ChartId::of(source),
        name: name(called, "1"),
        at: at(0),
    };
    let expected = vec![row("a", "first by name"), row("wf", "source")];
    assert_eq!(ports.store.definitions().await, Ok(expected));
}

/// A schedule is replaced by that of another version, and goes on when the same comes again.
pub async fn a_name_has_one_schedule(ports: Ports) {
    deploy(&ports, scheduled("1", "a", 10)).await;
    deploy(&ports, scheduled("1", "a", 20)).await;
    let schedule = only_schedule(&ports).await;
    assert_eq!(schedule.due_at, Some(at(10)), "the same goes on");
    deploy(&ports, scheduled("2", "b", 30)).await;
    let schedule = only_schedule(&ports).await;
    assert_eq!(schedule.due_at, Some(at(30)));
    assert_eq!(
        (schedule.chart, schedule.name),
        (ChartId::of("b"), name("wf", "2"))
    );
    assert_eq!((schedule.last_run, schedule.last_run_ended), (None, true));
    deploy(&ports, definition("wf", "3", "c")).await;
    assert_eq!(only_schedule(&ports).await.chart, ChartId::of("b"));
}

/// A definition that was deployed without its schedule may get it later.
pub async fn a_schedule_may_come_later(ports: Ports) {
    deploy(&ports, definition("wf", "1", "a")).await;
    assert_eq!(ports.store.schedules().await, Ok(vec![]));
    deploy(&ports, scheduled("1", "a", 10)).await;
    assert_eq!(only_schedule(&ports).await.due_at, Some(at(10)));
}

/// The schedule that is due next comes first; those that wait for their run come last.
pub async fn schedules_are_listed_by_due_time(ports: Ports) {
    for (called, source, second) in [("a", "a", 30), ("b", "b", 10), ("c", "c", 20)] {
        let mut new = scheduled("1", source, second);
        new.name = name(called, "1");
        deploy(&ports, new).await;
    }
    let waiting = Firing {
        name: name("b", "1"),
        ..firing(10, None, &[])
    };
    assert_eq!(ports.store.fire(waiting).await, Ok(true));
    let schedules = ports.store.schedules().await.expect("schedules");
    let names: Vec<_> = schedules.iter().map(|s| s.name.name.as_str()).collect();
    assert_eq!(names, ["c", "a", "b"]);
}

/// A due time fires once; the second caller is told so and starts nothing.
pub async fn a_due_time_fires_once(ports: Ports) {
    deploy(&ports, scheduled("1", "source", 10)).await;
    assert_eq!(ports.store.fire(firing(10, Some(20), &[1])).await, Ok(true));
    assert_eq!(
        ports.store.fire(firing(10, Some(20), &[2])).await,
        Ok(false)
    );
    assert_eq!(
        ports.store.fire(firing(15, Some(20), &[2])).await,
        Ok(false)
    );
    assert_eq!(ports.store.run(run_id(2)).await, Ok(None));
    let schedule = only_schedule(&ports).await;
    assert_eq!(schedule.due_at, Some(at(20)));
    assert_eq!(schedule.last_run, Some(run_id(1)));
    assert!(!schedule.last_run_ended);
    assert_eq!(ports.run(1).await.started_at, at(1));
}

/// A time that is left out starts nothing and forgets nothing.
pub async fn a_time_may_be_left_out(ports: Ports) {
    deploy(&ports, scheduled("1", "source", 10)).await;
    assert_eq!(
        ports.store.fire(firing(10, Some(20), &[1, 2])).await,
        Ok(true)
    );
    assert_eq!(ports.store.fire(firing(20, Some(30), &[])).await, Ok(true));
    let schedule = only_schedule(&ports).await;
    assert_eq!(schedule.due_at, Some(at(30)));
    assert_eq!(
        schedule.last_run,
        Some(run_id(2)),
        "the last that it started"
    );
}

/// A schedule that nobody knows does not fire.
pub async fn an_unknown_schedule_does_not_fire(ports: Ports) {
    ports.deploy().await;
    assert_eq!(ports.store.fire(firing(10, None, &[1])).await, Ok(false));
    assert_eq!(ports.store.run(run_id(1)).await, Ok(None));
}

/// All or nothing: a run that cannot be started leaves the schedule due.
pub async fn a_firing_that_cannot_start_its_run_changes_nothing(ports: Ports) {
    deploy(&ports, scheduled("1", "source", 10)).await;
    let mut broken = firing(10, Some(20), &[1, 2]);
    broken.runs[1].chart.0 = "unknown".to_owned();
    let answer = ports.store.fire(broken).await;
    assert!(matches!(answer, Err(Error::Internal(_))), "{answer:?}");
    assert_eq!(only_schedule(&ports).await.due_at, Some(at(10)));
    assert_eq!(ports.store.run(run_id(1)).await, Ok(None));
}

/// The end of a run that a schedule did not start last does not make it due.
pub async fn only_the_last_run_makes_an_after_schedule_due(ports: Ports) {
    let mut new = scheduled("1", "source", 10);
    new.schedule = Some(NewSchedule {
        due_at: at(10),
        after: Some(Duration::from_secs(1)),
    });
    deploy(&ports, new).await;
    let owner = ports.engine(1).await;
    ports.submit(vec![run(1)]).await;
    let other = ports.claim_one(owner).await;
    assert_eq!(ports.store.fire(firing(10, None, &[2])).await, Ok(true));
    ports.stored(commit(&other, ends(completed()))).await;
    assert_eq!(only_schedule(&ports).await.due_at, None);
}
