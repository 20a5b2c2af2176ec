//! The one value type of the engine: JSON, shared by reference, cheap to clone.
//!
//! [`Value`] is the value type of the expression language, so that a document enters it once and is
//! never converted for an expression. All walks over values of unknown origin are iterative.

use jaq_core::ValT as _;
pub use jaq_json::{Map, Num};

mod json;
mod patch;

pub use json::{from_serde, parse, to_json, to_serde};
pub use patch::{diff, merge_patch};

/// A JSON value. Cloning copies a reference (a few ns).
pub type Value = jaq_json::Val;

/// How large a value may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Largest logical size in bytes: texts and keys count their length, other leaves 8.
    pub bytes: usize,
    /// Largest number of nested levels; a number alone has 1.
    pub depth: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            bytes: 1 << 20,
            depth: 128,
        }
    }
}

/// Why a value was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ValueError {
    /// The text is no JSON.
    #[error("not valid JSON: {0}")]
    Syntax(String),
    /// Larger than [`Limits::bytes`].
    #[error("the value is larger than {0} bytes")]
    TooLarge(usize),
    /// Nested deeper than [`Limits::depth`].
    #[error("the value is nested deeper than {0} levels")]
    TooDeep(usize),
    /// An object key is something else than a text.
    #[error("object keys must be texts, not {0}")]
    Key(String),
}

/// Refuses a value that is too large, too deep or cannot be written as JSON.
///
/// # Errors
/// [`ValueError::TooLarge`], [`ValueError::TooDeep`], [`ValueError::Key`].
pub fn check(value: &Value, limits: &Limits) -> Result<(), ValueError> {
    measure(value, limits).map(|_| ())
}

/// Size of a value as far as the limits allow to look at it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Size {
    /// Logical bytes, see [`Limits::bytes`].
    pub bytes: usize,
    /// Number of values visited.
    pub nodes: usize,
}

/// Measures `value` and stops at the first limit it passes: shared parts count each time they occur.
pub(crate) fn measure(value: &Value, limits: &Limits) -> Result<Size, ValueError> {
    let mut size = Size::default();
    let mut open = Vec::new();
    visit(value, 1, limits, &mut size, &mut open)?;
    while let Some((value, level)) = open.pop() {
        visit(value, level, limits, &mut size, &mut open)?;
    }
    Ok(size)
}

fn visit<'v>(
    value: &'v Value,
    level: usize,
    limits: &Limits,
    size: &mut Size,
    open: &mut Vec<(&'v Value, usize)>,
) -> Result<(), ValueError> {
    if level > limits.depth {
        return Err(ValueError::TooDeep(limits.depth));
    }
    size.nodes += 1;
    size.bytes = size.bytes.saturating_add(own_size(value));
    if size.bytes > limits.bytes {
        return Err(ValueError::TooLarge(limits.bytes));
    }
    match value {
        Value::Arr(items) => open.extend(items.iter().map(|item| (item, level + 1))),
        Value::Obj(map) => {
            for (key, item) in map.iter() {
                let Value::TStr(name) = key else {
                    return Err(ValueError::Key(to_json(key)));
                };
                size.bytes = size.bytes.saturating_add(name.len());
                open.push((item, level + 1));
            }
        }
        _ => {}
    }
    Ok(())
}

/// Bytes of the value itself; of a collection, a lower bound that makes huge ones fail at once.
fn own_size(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) => 8,
        Value::Num(Num::BigInt(n)) => 8 + usize::try_from(n.bits() / 8).unwrap_or(usize::MAX / 2),
        Value::Num(Num::Dec(digits)) => 8 + digits.len(),
        Value::Num(_) => 8,
        Value::BStr(bytes) | Value::TStr(bytes) => 2 + bytes.len(),
        Value::Arr(items) => 2 + items.len(),
        Value::Obj(map) => 2 + map.len(),
    }
}

/// A text value.
#[must_use]
pub fn text(text: &str) -> Value {
    Value::from(text.to_owned())
}

/// An object with the given members, in this order.
#[must_use]
pub fn object<K: AsRef<str>>(members: impl IntoIterator<Item = (K, Value)>) -> Value {
    let members = members.into_iter();
    Value::obj(
        members
            .map(|(key, value)| (text(key.as_ref()), value))
            .collect(),
    )
}

/// An array.
#[must_use]
pub fn array(items: Vec<Value>) -> Value {
    Value::Arr(items.into())
}

/// A count or index as a number.
#[must_use]
pub fn integer(number: usize) -> Value {
    Value::Num(Num::from_integral(number))
}

/// Number of items of an array; 0 of everything else.
#[must_use]
pub fn len(value: &Value) -> usize {
    match value {
        Value::Arr(items) => items.len(),
        _ => 0,
    }
}

/// The item of an array at an index; `null` where there is none.
#[must_use]
pub fn item(value: &Value, index: usize) -> Value {
    match value {
        Value::Arr(items) => items.get(index).cloned().unwrap_or_default(),
        _ => Value::Null,
    }
}

/// The beginning of the value as JSON, for messages.
#[must_use]
pub fn excerpt(value: &Value) -> String {
    const SHOWN: usize = 80;
    let json = to_json(value);
    match json.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}...", &json[..end]),
        None => json,
    }
}

/// The text, if the value is one and valid UTF-8.
#[must_use]
pub fn as_str(value: &Value) -> Option<&str> {
    match value {
        Value::TStr(bytes) => std::str::from_utf8(bytes).ok(),
        _ => None,
    }
}

/// The member `key`, if the value is an object that has it.
#[must_use]
pub fn get<'v>(value: &'v Value, key: &str) -> Option<&'v Value> {
    match value {
        Value::Obj(map) => map.get(&text(key)),
        _ => None,
    }
}

/// Truth as expressions see it: everything except `null` and `false`.
#[must_use]
pub fn is_truthy(value: &Value) -> bool {
    value.as_bool()
}
