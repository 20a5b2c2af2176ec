use super::super::samples::{at, engine, failover, incarnation};
use super::*;
use flux_core::ids::{BranchId, CommitNo, Epoch, RunId};
use uuid::Uuid;

fn takeover(number: u128, resumed: Resumed, poisoned: bool) -> TakeoverRecord {
    TakeoverRecord {
        branch: BranchId::new(Uuid::from_u128(number)),
        run: RunId::new(Uuid::from_u128(number)),
        epoch: Epoch(4),
        commit_no: CommitNo(2),
        node: "/do/1/b".to_owned(),
        lost: 5,
        poisoned,
        at: at(132),
        resumed,
    }
}

fn died() -> FailoverRecord {
    failover(&engine("ada", 1), &engine("brian", 2), 3)
}

#[test]
fn the_detail_tells_the_whole_story() {
    let by = Resumed::By {
        engine: "grace".to_owned(),
        at: at(133),
    };
    let takeovers = [
        takeover(1, by, false),
        takeover(2, Resumed::NotYet, false),
        takeover(3, Resumed::Never, true),
    ];
    let text = detail(&died(), &takeovers);
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    assert_eq!(
        lines[..5],
        [
            "engine ada, incarnation 00000001-0000-0000-0000-000000000000",
            "last heartbeat: number 7, 1970-01-01T00:01:40Z by its own clock",
            "declared dead: 1970-01-01T00:02:11Z by brian (00000002)",
            "evidence: its heartbeat 7 had not changed for 30.2 s",
            "branches taken over: 3",
        ]
    );
    assert!(lines[5].starts_with("RUN "), "{text}");
    let first = "2 /do/1/b     1970-01-01T00:02:12Z  on grace at 1970-01-01T00:02:13Z";
    assert!(lines[6].ends_with(first), "{text}");
    assert!(lines[7].ends_with("not yet"), "{text}");
    assert!(
        lines[8].ends_with("never: it had lost 5 engines in a row"),
        "{text}"
    );
}

#[test]
fn an_engine_may_bury_itself_and_a_stranger_may_judge() {
    let ada = engine("ada", 1);
    let itself = failover(&ada, &ada, 1);
    assert_eq!(judge(&itself), "itself");
    assert_eq!(failover_json(&itself)["by_engine"], "ada");
    let stranger = failover(&ada, &engine("", 9), 0);
    assert_eq!(judge(&stranger), "an engine that wanted to join (00000009)");
    assert_eq!(failover_json(&stranger)["by_engine"], Value::Null);
}

#[test]
fn a_name_comes_before_an_incarnation() {
    let all = || {
        let (ada, odd) = (engine("ada", 1), engine("00000001", 2));
        vec![failover(&ada, &odd, 0), failover(&odd, &ada, 0)]
    };
    let found = |wanted: &str| -> Vec<_> {
        let found = matching(all(), wanted).into_iter();
        found.map(|failover| failover.from).collect()
    };
    assert_eq!(found("ada"), [incarnation(1)]);
    assert_eq!(found("00000001"), [incarnation(2)], "the name");
    assert_eq!(found("00000001-"), [incarnation(1)]);
    assert_eq!(found("0000"), [incarnation(1), incarnation(2)]);
    assert_eq!(found(""), []);
    assert_eq!(found("eve"), []);
}
