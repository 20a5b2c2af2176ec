//! What one evaluation may use. jaq has no limits of its own; our natives, which the compiler weaves
//! into every expression, count here and end the evaluation with an exception no `try` can catch.

use crate::value::{Limits, Value, ValueError, measure};
use std::cell::Cell;
use std::time::{Duration, Instant};

/// Steps of one evaluation: outputs of generators, iterations, and work on large values.
pub const STEPS: u64 = 1_000_000;
/// Largest value an expression may build.
pub const CAP: Limits = Limits {
    bytes: 8 << 20,
    depth: 128,
};
/// Most elements of one collection.
pub const ITEMS: usize = 1 << 20;
/// Bytes that elements of collections may take up in one evaluation, whether still in use or not.
const KEPT: u64 = 128 << 20;
/// Safety net for single operations that are slow on large values. Generous, because results must
/// not depend on the speed of the machine.
const TIME: Duration = Duration::from_millis(1500);
/// The clock is read every so many steps.
const CLOCK: u64 = 64;
/// Nested updates through `reduce`; each uses stack.
const UPDATES: u32 = 128;

/// Why the evaluation was ended. The number travels through jaq as the code of its `halt`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Too many steps.
    Steps = 1,
    /// Took too long.
    Time = 2,
    /// A value grew too large.
    Large = 3,
    /// A value or path grew too deep.
    Deep = 4,
    /// Too much put into collections.
    Kept = 5,
}

impl Stop {
    /// The reverse of `stop as i32`.
    pub fn from_code(code: i32) -> Self {
        match code {
            1 => Self::Steps,
            2 => Self::Time,
            4 => Self::Deep,
            5 => Self::Kept,
            _ => Self::Large,
        }
    }
}

#[derive(Clone, Copy)]
struct Meter {
    steps: u64,
    next_clock: u64,
    kept: u64,
    grown: usize,
    updates: u32,
    until: Option<Instant>,
}

const FRESH: Meter = Meter {
    steps: 0,
    next_clock: CLOCK,
    kept: 0,
    grown: 0,
    updates: 0,
    until: None,
};

thread_local! {
    static METER: Cell<Meter> = const { Cell::new(FRESH) };
}

/// Starts an evaluation on this thread.
pub fn start() {
    METER.set(Meter {
        until: Some(Instant::now() + TIME),
        ..FRESH
    });
}

/// Counts `n` steps.
pub fn steps(n: u64) -> Result<(), Stop> {
    let mut meter = METER.get();
    meter.steps = meter.steps.saturating_add(n);
    let mut result = Ok(());
    if meter.steps > STEPS {
        result = Err(Stop::Steps);
    } else if meter.steps >= meter.next_clock {
        meter.next_clock = meter.steps + CLOCK;
        if meter.until.is_some_and(|until| Instant::now() > until) {
            // Whatever follows is refused at once, so that the evaluation unwinds quickly.
            meter.steps = STEPS;
            result = Err(Stop::Time);
        }
    }
    METER.set(meter);
    result
}

/// Counts the bytes of a text that stays in memory.
pub fn keep_text(value: &Value) -> Result<(), Stop> {
    match value {
        Value::TStr(bytes) | Value::BStr(bytes) => keep_bytes(bytes.len()),
        _ => Ok(()),
    }
}

/// Counts the bytes of an element of a collection being built, without what is inside it: that was
/// counted when it was built.
pub fn keep(value: &Value) -> Result<(), Stop> {
    steps(1)?;
    match value {
        Value::TStr(bytes) | Value::BStr(bytes) => keep_bytes(bytes.len()),
        Value::Arr(items) => keep_bytes(32 + items.len() * 16),
        Value::Obj(map) => keep_bytes(48 + map.len() * 64),
        _ => Ok(()),
    }
}

fn keep_bytes(len: usize) -> Result<(), Stop> {
    let mut meter = METER.get();
    meter.kept = meter.kept.saturating_add(len as u64);
    METER.set(meter);
    if meter.kept > KEPT {
        Err(Stop::Kept)
    } else {
        Ok(())
    }
}

/// Counts the work of an operation that touches every element of a collection or text.
pub fn work(value: &Value) -> Result<(), Stop> {
    match value {
        Value::Arr(items) => steps(items.len() as u64 / 8),
        Value::Obj(map) => steps(map.len() as u64 / 8),
        Value::TStr(bytes) | Value::BStr(bytes) => steps(bytes.len() as u64 / 512),
        _ => Ok(()),
    }
}

/// Looks at the whole value and counts the work; returns its logical size in bytes.
pub fn inspect(value: &Value) -> Result<usize, Stop> {
    match value {
        Value::TStr(bytes) | Value::BStr(bytes) if bytes.len() > CAP.bytes => Err(Stop::Large),
        Value::TStr(bytes) | Value::BStr(bytes) => {
            steps(bytes.len() as u64 / 512)?;
            Ok(bytes.len())
        }
        _ => {
            let size = measure(value, &CAP).map_err(|e| match e {
                ValueError::TooDeep(_) => Stop::Deep,
                _ => Stop::Large,
            })?;
            steps(size.nodes as u64 / 64)?;
            Ok(size.bytes)
        }
    }
}

/// A key to sort by: each is compared several times with others, so its parts count.
pub fn rank(value: &Value) -> Result<(), Stop> {
    keep(value)?;
    let bytes = inspect(value)?;
    steps(bytes as u64 / 64)
}

/// Like [`inspect`], for a text made of `value`.
pub fn part(value: &Value) -> Result<(), Stop> {
    keep_bytes(inspect(value)?)
}

/// A value that is about to become part of another one: remembers by how much that one may grow.
pub fn put(value: &Value) -> Result<(), Stop> {
    let bytes = inspect(value)?;
    keep(value)?;
    let mut meter = METER.get();
    meter.grown = meter.grown.saturating_add(bytes + 2);
    METER.set(meter);
    Ok(())
}

/// The result of `+` or of an update. Looking at all of it each time would make loops quadratic, so
/// that happens only when the parts put since the last look could have made it too large.
pub fn sum(value: &Value) -> Result<(), Stop> {
    let len = match value {
        Value::TStr(bytes) | Value::BStr(bytes) => {
            return if bytes.len() > CAP.bytes {
                Err(Stop::Large)
            } else {
                Ok(())
            };
        }
        Value::Arr(items) => items.len(),
        Value::Obj(map) => map.len(),
        _ => return Ok(()),
    };
    let mut meter = METER.get();
    if len > ITEMS {
        return Err(Stop::Large);
    }
    if meter.grown > CAP.bytes / 2 {
        meter.grown = 0;
        METER.set(meter);
        inspect(value)?;
    }
    Ok(())
}

/// Runs one nested update.
pub fn nested<T>(run: impl FnOnce() -> T) -> Result<T, Stop> {
    let mut meter = METER.get();
    if meter.updates >= UPDATES {
        return Err(Stop::Deep);
    }
    meter.updates += 1;
    METER.set(meter);
    let result = run();
    let mut meter = METER.get();
    meter.updates = meter.updates.saturating_sub(1);
    METER.set(meter);
    Ok(result)
}
