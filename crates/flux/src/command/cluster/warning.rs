//! What the engines of a cluster should agree on and do not. It is safe, so these are warnings.

use flux_core::ownership::{differing_windows, wrong_clocks};
use flux_core::ports::members::Member;
use serde_json::{Value, json};

/// One of them.
#[derive(Clone, Debug, PartialEq)]
pub struct Warning {
    /// `windows` or `clocks`.
    pub kind: &'static str,
    /// A sentence that names the engines and their values.
    pub message: String,
    /// The same for programs.
    pub engines: Vec<Value>,
}

impl Warning {
    pub fn json(&self) -> Value {
        json!({"kind": self.kind, "message": self.message, "engines": self.engines})
    }
}

/// All that there are.
pub fn warnings(members: &[Member]) -> Vec<Warning> {
    windows(members)
        .into_iter()
        .chain(clocks(members))
        .collect()
}

fn windows(members: &[Member]) -> Option<Warning> {
    let differing = differing_windows(members);
    let window = |member: &Member| member.window.as_secs_f64();
    let named = named(&differing, |member| format!("{} s", window(member)));
    (!differing.is_empty()).then(|| Warning {
        kind: "windows",
        message: format!(
            "the engines have different failover time windows: {named}; each is judged by its own, \
             but give all of them the same"
        ),
        engines: values(&differing, |member| json!({"window_s": window(member)})),
    })
}

fn clocks(members: &[Member]) -> Option<Warning> {
    let wrong = wrong_clocks(members);
    let named = named(&wrong, |member| member.clock_offset.to_string());
    (!wrong.is_empty()).then(|| Warning {
        kind: "clocks",
        message: format!(
            "clocks differ from the database's: {named}; this is harmless for failover, but timers \
             and schedules on these engines are early or late by as much"
        ),
        engines: values(
            &wrong,
            |member| json!({"clock_offset_s": member.clock_offset.as_secs_f64()}),
        ),
    })
}

fn named(members: &[&Member], value: impl Fn(&Member) -> String) -> String {
    let each = |member: &&Member| format!("{} {}", member.name, value(member));
    members.iter().map(each).collect::<Vec<_>>().join(", ")
}

fn values(members: &[&Member], value: impl Fn(&Member) -> Value) -> Vec<Value> {
    let each = |member: &&Member| {
        let mut object = value(member);
        object["name"] = json!(member.name);
        object["incarnation"] = json!(member.incarnation.to_string());
        object
    };
    members.iter().map(each).collect()
}

#[cfg(test)]
mod tests {
    use super::super::samples::{ahead, engine};
    use super::*;
    use std::time::Duration;

    #[test]
    fn an_even_cluster_has_none() {
        assert_eq!(warnings(&[]), []);
        assert_eq!(warnings(&[engine("ada", 1), engine("brian", 2)]), []);
    }

    #[test]
    fn engines_and_values_are_named() {
        let slow = Member {
            window: Duration::from_secs(90),
            ..engine("brian", 2)
        };
        let members = [engine("ada", 1), slow, ahead(engine("grace", 3), -3600)];
        let [windows, clocks] = &warnings(&members)[..] else {
            panic!("{:?}", warnings(&members))
        };
        let expected = "the engines have different failover time windows: ada 30 s, brian 90 s, \
                        grace 30 s; each is judged by its own, but give all of them the same";
        assert_eq!(windows.message, expected);
        assert_eq!(windows.engines[1]["window_s"], json!(90.0));
        let expected = "clocks differ from the database's: grace -3600.0 s; this is harmless for \
                        failover, but timers and schedules on these engines are early or late by \
                        as much";
        assert_eq!(clocks.message, expected);
        assert_eq!(clocks.json()["engines"][0]["name"], json!("grace"));
        assert_eq!(clocks.engines[0]["clock_offset_s"], json!(-3600.0));
    }
}
