//! The one value type of the engine: JSON, shared by reference, cheap to clone.
//!
//! [`Value`] is the value type of the expression language, so that a document enters it once and is
//! never converted for an expression. All walks over values of unknown origin are iterative.

use jaq_core::ValT as _;
pub use jaq_json::{Map, Num};

mod changes;
mod json;

pub use changes::carry_over;
pub(crate) use json::whole;
pub use json::{from_serde, parse, to_json, to_serde};

/// A JSON value. Cloning copies a reference (a few ns).
pub type Value = jaq_json::Val;

/// How large a value may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Largest logical size in bytes: texts and keys count their length, others 8 each.
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
        Value::Arr(items) => 8 + items.len(),
        Value::Obj(map) => 8 + map.len(),
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

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn json(text: &str) -> Value {
        parse(text).unwrap()
    }

    #[test]
    fn reads_strict_json_only() {
        for bad in [
            "",
            "NaN",
            "[1,]",
            "{1:2}",
            "b\"x\"",
            "# c\n1",
            "01",
            "1 2",
            "'a'",
            "+1",
            "Infinity",
            "\"\\ud800\"",
        ] {
            assert!(matches!(parse(bad), Err(ValueError::Syntax(_))), "{bad}");
        }
        for good in [
            "null",
            "[1,2.50,\"a\\\"\\n\\u0001é\"]",
            "{\"b\":1,\"a\":[]}",
            "1e5",
            "123456789012345678901",
        ] {
            let value = json(good);
            assert_eq!(json(&to_json(&value)), value, "{good}");
        }
        assert_eq!(
            to_json(&json("{\"b\":1.50,\"a\":\"\\u0001\"}")),
            "{\"b\":1.50,\"a\":\"\\u0001\"}"
        );
        assert_eq!(to_json(&Value::from(f64::NAN)), "null");
    }

    #[test]
    fn limits_hold_for_any_depth_and_sharing() {
        let limits = Limits::default();
        let deep = |n| "[".repeat(n) + &"]".repeat(n);
        assert!(check(&json(&deep(127)), &limits).is_ok());
        assert_eq!(parse(&deep(200_000)), Err(ValueError::TooDeep(128)));
        assert!(parse(&("[".repeat(200_000))).is_err());
        let shared = (0..40).fold(Value::Null, |inner, _| {
            [inner.clone(), inner].into_iter().collect()
        });
        assert_eq!(check(&shared, &limits), Err(ValueError::TooLarge(1 << 20)));
        assert_eq!(
            check(&text(&"x".repeat(2 << 20)), &limits),
            Err(ValueError::TooLarge(1 << 20))
        );
        let odd = Value::obj([(Value::from(1isize), Value::Null)].into_iter().collect());
        assert_eq!(check(&odd, &limits), Err(ValueError::Key("1".to_owned())));
    }

    #[test]
    fn changes_of_two_branches_are_joined_member_by_member() {
        let table = [
            // base, what one branch made of it, what the other did before, both
            (
                r#"{"a":1}"#,
                r#"{"a":1,"b":2}"#,
                r#"{"a":1,"c":3}"#,
                r#"{"a":1,"c":3,"b":2}"#,
            ),
            (r#"{"a":1}"#, r#"{"a":null}"#, r#"{"a":2}"#, r#"{"a":null}"#),
            ("{}", r#"{"a":null}"#, r#"{"b":1}"#, r#"{"b":1,"a":null}"#),
            (
                "{}",
                r#"{"a":{"x":null}}"#,
                r#"{"a":{"y":1}}"#,
                r#"{"a":{"y":1,"x":null}}"#,
            ),
            (
                r#"{"a":1,"b":2}"#,
                r#"{"b":2}"#,
                r#"{"a":1,"b":3}"#,
                r#"{"b":3}"#,
            ),
            (
                r#"{"a":{"x":1}}"#,
                r#"{"a":{"x":2}}"#,
                r#"{"a":7}"#,
                r#"{"a":{"x":2}}"#,
            ),
            (
                r#"{"a":[1]}"#,
                r#"{"a":[1,2]}"#,
                r#"{"a":[3]}"#,
                r#"{"a":[1,2]}"#,
            ),
            ("null", r#"{"a":1}"#, r#"{"b":null}"#, r#"{"b":null,"a":1}"#),
            (r#"{"a":1}"#, "null", r#"{"a":2}"#, "null"),
        ];
        for (base, new, onto, want) in table {
            let joined = carry_over(&json(base), &json(new), json(onto));
            assert_eq!(to_json(&joined), want, "{base} {new} {onto}");
        }
    }

    #[test]
    fn whole_numbers_are_written_without_a_fraction() {
        for (number, want) in [
            (4.0, "4"),
            (-7.0, "-7"),
            (0.0, "0"),
            (-0.0, "-0.0"),
            (0.5, "0.5"),
            (9_007_199_254_740_992.0, "9007199254740992"),
            (1e300, "1e+300"),
        ] {
            assert_eq!(to_json(&Value::from(number)), want);
            assert_eq!(to_serde(&Value::from(number)).to_string(), want);
        }
        assert_eq!(to_json(&json("4.0")), "4.0", "as it was written");
    }

    fn tree() -> impl proptest::strategy::Strategy<Value = Value> {
        use proptest::prelude::*;
        let leaf = prop_oneof![
            Just(Value::Null),
            (0isize..3).prop_map(Value::from),
            "[ab]".prop_map(Value::from)
        ];
        leaf.prop_recursive(4, 30, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..3)
                    .prop_map(|items| items.into_iter().collect()),
                prop::collection::vec(("[abcd]", inner), 0..4).prop_map(object),
            ]
        })
    }

    proptest::proptest! {
        #[test]
        fn changes_carried_to_their_own_base_give_the_new_value(base in tree(), new in tree()) {
            proptest::prop_assert_eq!(carry_over(&base, &new, base.clone()), new);
        }

        #[test]
        fn who_changes_nothing_changes_nothing(base in tree(), other in tree()) {
            proptest::prop_assert_eq!(carry_over(&base, &base, other.clone()), other);
        }

        #[test]
        fn conversions_keep_the_value(value in tree()) {
            proptest::prop_assert_eq!(&from_serde(to_serde(&value)), &value);
            proptest::prop_assert_eq!(&parse(&to_json(&value)).map_err(|e| proptest::test_runner::TestCaseError::fail(e.to_string()))?, &value);
        }
    }
}
