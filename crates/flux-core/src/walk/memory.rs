//! What a branch knows: stored at every commit point, forgotten and read back on a roll-back.

use super::listener::Heard;
use crate::chart::{Fault, NodeId};
use crate::clock::Timestamp;
use crate::value::{self, Value};
use serde::{Deserialize, Serialize};

/// Everything a branch knows between two steps.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Memory {
    /// Where it stands.
    pub(super) at: Cursor,
    /// The tasks it is in, outermost first.
    pub(super) frames: Vec<Frame>,
    /// `$context`.
    #[serde(with = "json")]
    pub(super) context: Value,
    /// Variables inherited from the scopes around the fork that split the branch off.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) inherited: Vec<Variable>,
    /// Number of action firings begun; part of their idempotency keys.
    pub(super) firings: u64,
    /// Number of branches, child runs and events made; part of their ids.
    pub(super) serial: u64,
}

/// A variable and its value.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Variable {
    pub name: String,
    #[serde(with = "json")]
    pub value: Value,
}

/// Where a branch stands.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Cursor {
    /// About to enter a node with this raw input.
    Enter {
        node: NodeId,
        #[serde(with = "json")]
        data: Value,
    },
    /// The innermost frame's action, trigger, split or child run is in progress.
    Inside,
    /// The innermost frame is done with this raw output.
    Leave {
        #[serde(with = "json")]
        output: Value,
    },
}

/// A task that has begun and not ended.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Frame {
    pub node: NodeId,
    /// `$input`: the transformed input.
    #[serde(with = "json")]
    pub input: Value,
    pub started_at: Timestamp,
    /// Its `timeout`, as an instant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Local::is_none")]
    pub local: Local,
}

/// What a kind of task keeps while it is in progress.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Local {
    #[default]
    None,
    For {
        #[serde(with = "json")]
        items: Value,
        index: usize,
    },
    Try(TryLocal),
    /// Which firing this is.
    Action {
        firing: u64,
    },
    Wait {
        due: Timestamp,
    },
    Listen(Heard),
    Fork {
        branches: u32,
    },
    /// Waits for the child run.
    Child,
}

impl Local {
    fn is_none(&self) -> bool {
        matches!(self, Local::None)
    }
}

/// Progress of a `try`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct TryLocal {
    /// From 1.
    pub attempt: u32,
    /// Start of the first attempt.
    pub began: Timestamp,
    /// `retry.limit.attempt.duration` of this attempt, as an instant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt_deadline: Option<Timestamp>,
    /// Firings when the block was entered: every attempt repeats the same numbers, so that an
    /// action keeps its idempotency key.
    pub firings: u64,
    pub phase: Phase,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Phase {
    /// In the block.
    Block,
    /// Parked until the next attempt.
    Backoff { due: Timestamp },
    /// In the handler, because of this.
    Handler { fault: Fault },
}

impl Memory {
    /// What the first branch of a run knows: it is about to enter the workflow with this input.
    pub fn of_run(input: Value) -> Memory {
        Memory::entering(
            crate::chart::Chart::ROOT,
            input,
            Value::default(),
            Vec::new(),
        )
    }

    pub(super) fn entering(
        node: NodeId,
        data: Value,
        context: Value,
        inherited: Vec<Variable>,
    ) -> Memory {
        let at = Cursor::Enter { node, data };
        Memory {
            at,
            frames: Vec::new(),
            context,
            inherited,
            firings: 0,
            serial: 0,
        }
    }

    /// As stored.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("memory holds only text keys and finite depth")
    }

    /// As read back; the text says what is wrong with a damaged row.
    pub fn from_json(text: &str) -> Result<Memory, String> {
        serde_json::from_str(text).map_err(|error| format!("memory of a branch: {error}"))
    }

    /// As an operator sends it back to this commit point: what was split off or started at it is
    /// gone, so it is split off or started again; and what had a deadline gets its time anew.
    pub fn sent_back(&mut self, now: Timestamp) {
        for frame in &mut self.frames {
            let again = |from: Timestamp| move |until: Timestamp| now.plus(until.since(from));
            frame.deadline = frame.deadline.map(again(frame.started_at));
            if let Local::Try(block) = &mut frame.local {
                block.attempt_deadline = block.attempt_deadline.map(again(block.began));
            }
        }
        if let (Cursor::Inside, Some(frame)) = (&self.at, self.frames.last_mut()) {
            match frame.local {
                Local::Fork { .. } => frame.local = Local::None,
                Local::Child => frame.local = Local::Action { firing: 0 },
                _ => {}
            }
        }
    }

    /// The node at which a branch with this memory goes on.
    pub(super) fn node(&self) -> NodeId {
        match (&self.at, self.frames.last()) {
            (Cursor::Enter { node, .. }, _) => *node,
            (_, Some(frame)) => frame.node,
            (_, None) => crate::chart::Chart::ROOT,
        }
    }
}

/// Values as JSON inside the memory.
mod json {
    use super::{Value, value};
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub fn serialize<S: Serializer>(value: &Value, serializer: S) -> Result<S::Ok, S::Error> {
        value::to_serde(value).serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Value, D::Error> {
        Value::deserialize(deserializer)
    }
}
