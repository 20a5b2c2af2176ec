//! What the runs of a benchmark do.

use crate::exit::Failure;
use clap::ValueEnum;
use flux_core::value::{self, Value};

/// What each run does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Workload {
    /// Three steps that do nothing, with a commit after each
    #[default]
    ThreeSteps,
    /// One step
    OneStep,
    /// A split of ten branches with a step each, and their join
    Split,
    /// A timer of 100 ms, during which no engine holds the run
    Timers,
    /// A wait for a signal, which is sent once the run waits
    Signals,
    /// A sub-workflow of one step
    Children,
    /// Three steps, and 1 KB of input that is kept at each commit
    #[value(name = "payload-1k")]
    Payload1k,
    /// The same with 64 KB
    #[value(name = "payload-64k")]
    Payload64k,
}

impl Workload {
    /// As on the command line.
    pub fn name(self) -> String {
        let name = self.to_possible_value();
        name.map_or_else(String::new, |name| name.get_name().to_owned())
    }

    /// What is to be deployed; the last one is what runs.
    pub fn definitions(self) -> &'static [&'static str] {
        const ONE_STEP: &str = include_str!("workloads/one-step.yaml");
        match self {
            Self::ThreeSteps => &[include_str!("workloads/three-steps.yaml")],
            Self::OneStep => &[ONE_STEP],
            Self::Split => &[include_str!("workloads/split.yaml")],
            Self::Timers => &[include_str!("workloads/timers.yaml")],
            Self::Signals => &[include_str!("workloads/signals.yaml")],
            Self::Children => &[ONE_STEP, include_str!("workloads/children.yaml")],
            Self::Payload1k | Self::Payload64k => &[include_str!("workloads/payload.yaml")],
        }
    }

    /// Tasks that a run performs.
    pub fn steps(self) -> u32 {
        match self {
            Self::ThreeSteps | Self::Payload1k | Self::Payload64k => 3,
            Self::OneStep | Self::Timers | Self::Signals => 1,
            Self::Split => 10,
            Self::Children => 2,
        }
    }

    /// Whether a run is what the measurement of the store alone does: three commits of one branch.
    pub fn is_three_commits(self) -> bool {
        matches!(self, Self::ThreeSteps | Self::Payload1k | Self::Payload64k)
    }

    /// The node at which a run waits for a signal, and the type of that signal.
    pub fn signal(self) -> Option<(&'static str, &'static str)> {
        (self == Self::Signals).then_some(("/do/0/answer", "bench.answer"))
    }

    /// The input of each run, as JSON of the promised size.
    pub fn input(self) -> Result<Value, Failure> {
        let json = match self {
            Self::Payload1k => padded(1 << 10),
            Self::Payload64k => padded(64 << 10),
            _ => r#"{"order":4711,"customer":"Q-17","items":[1,2,3]}"#.to_owned(),
        };
        value::parse(&json).map_err(|error| Failure::new(1, error.to_string()))
    }
}

/// A JSON object of so many bytes, with text that no database can compress much.
fn padded(bytes: usize) -> String {
    const FRAME: &str = r#"{"order":4711,"text":""}"#;
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+-";
    let mut state = 4711_u64;
    let letter = |_| {
        // Knuth's linear congruential generator: the same text each time.
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        char::from(LETTERS[(state >> 58) as usize])
    };
    let text: String = (FRAME.len()..bytes).map(letter).collect();
    FRAME.replace(r#""""#, &format!("\"{text}\""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use flux_core::chart::Compiler;

    #[test]
    fn every_definition_is_valid() {
        for workload in Workload::value_variants() {
            for definition in workload.definitions() {
                let chart = flux_lang::Language.compile(definition);
                assert!(chart.is_ok(), "{}: {:?}", workload.name(), chart.err());
            }
        }
    }

    #[test]
    fn a_payload_has_the_size_that_it_is_named_after() {
        for (workload, bytes) in [(Workload::Payload1k, 1024), (Workload::Payload64k, 65_536)] {
            let input = workload.input().expect("the input is JSON");
            assert_eq!(value::to_json(&input).len(), bytes);
        }
    }
}
