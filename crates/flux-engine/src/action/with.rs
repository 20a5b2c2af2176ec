//! Reads the parameters of an action, field by field, so that a fault can name the field, what it
//! holds and what would be right.

use flux_core::chart::{Fault, FaultKind};
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

/// The parameters of one action.
pub(super) struct With<'a> {
    action: &'a str,
    fields: &'a Map<String, Value>,
}

impl<'a> With<'a> {
    /// Of an action's evaluated `with`, or of an object within it.
    pub fn of(action: &'a str, value: &'a Value) -> Result<With<'a>, Fault> {
        match value {
            Value::Object(fields) => Ok(With { action, fields }),
            _ => Err(Fault::new(
                FaultKind::Validation,
                format!(
                    "{action}: the parameters are {} instead of an object",
                    excerpt(value)
                ),
            )),
        }
    }

    /// The field as it is; `None` when it is absent or null.
    pub fn raw(&self, field: &str) -> Option<&'a Value> {
        self.fields.get(field).filter(|value| !value.is_null())
    }

    /// The field, or the default of its type when it is absent or null; `example` is right YAML.
    pub fn optional<T: DeserializeOwned + Default>(
        &self,
        field: &str,
        example: &str,
    ) -> Result<T, Fault> {
        match self.raw(field) {
            None => Ok(T::default()),
            Some(value) => {
                T::deserialize(value).map_err(|error| self.wrong(field, value, &error, example))
            }
        }
    }

    /// The field, which must be there.
    pub fn required<T: DeserializeOwned>(&self, field: &str, example: &str) -> Result<T, Fault> {
        let value = self.fields.get(field).unwrap_or(&Value::Null);
        T::deserialize(value).map_err(|error| match value {
            Value::Null => self.fault(&format!("`{field}` is missing; write `{field}: {example}`")),
            _ => self.wrong(field, value, &error, example),
        })
    }

    /// A fault about these parameters.
    pub fn fault(&self, what: &str) -> Fault {
        Fault::new(FaultKind::Validation, format!("{}: {what}", self.action))
    }

    fn wrong(&self, field: &str, value: &Value, error: &serde_json::Error, example: &str) -> Fault {
        let why = error.to_string();
        let what = if !secret(field) {
            format!("`{field}` is {}: {why}", excerpt(value))
        } else if why.starts_with("missing field") {
            format!("`{field}`: {why}")
        } else {
            // The reason may quote the value.
            format!("`{field}` has a wrong type, or one of its values has")
        };
        self.fault(&format!("{what}; write for example `{field}: {example}`"))
    }
}

/// Whether the field may hold a credential.
fn secret(field: &str) -> bool {
    [
        "authentication",
        "headers",
        "environment",
        "password",
        "token",
        "oauth2",
        "basic",
        "bearer",
    ]
    .contains(&field)
}

/// The start of a value as JSON.
fn excerpt(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(80) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text,
    }
}

/// Text, where expressions often yield something else: numbers and booleans as they are written,
/// arrays and objects as JSON. Null is refused: it is nearly always a missing field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Text(pub String);

impl Text {
    /// Of a value; none of null.
    pub fn of(value: &Value) -> Option<Text> {
        match value {
            Value::Null => None,
            Value::String(text) => Some(Text(text.clone())),
            other => Some(Text(other.to_string())),
        }
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Text, D::Error> {
        let value = Value::deserialize(deserializer)?;
        Text::of(&value).ok_or_else(|| D::Error::custom("null where a text is expected"))
    }
}

/// A map of names to texts, in the order written; entries that are null are left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Texts(pub Vec<(String, String)>);

impl<'de> Deserialize<'de> for Texts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Texts, D::Error> {
        let map = Map::deserialize(deserializer)?;
        let text = |(name, value)| Text::of(&value).map(|text| (name, text.0));
        Ok(Texts(map.into_iter().filter_map(text).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_wrong_field_is_named_with_its_value_and_an_example() {
        let value = json!({"exitCodes": "0", "environment": "SECRET=1"});
        let with = With::of("shell", &value).expect("an object");
        let fault = with
            .optional::<Vec<i32>>("exitCodes", "[0, 1]")
            .expect_err("text is no list");
        let detail = fault.detail.unwrap_or_default();
        assert!(
            detail.starts_with("shell: `exitCodes` is \"0\": invalid type"),
            "{detail}"
        );
        assert!(
            detail.ends_with("write for example `exitCodes: [0, 1]`"),
            "{detail}"
        );
        let fault = with
            .optional::<Texts>("environment", "{A: b}")
            .expect_err("text is no map");
        assert!(!fault.to_string().contains("SECRET"), "{fault}");
        let fault = with
            .required::<String>("command", "ls")
            .expect_err("it is missing");
        assert!(
            fault.to_string().contains("`command` is missing"),
            "{fault}"
        );
        assert_eq!(fault.status, 400);
    }

    #[test]
    fn parameters_are_an_object() {
        let fault = With::of("http", &json!([1]))
            .err()
            .map(|fault| fault.to_string());
        assert!(fault.is_some_and(|text| text.contains("[1] instead of an object")));
    }

    #[test]
    fn texts_keep_their_order_and_leave_nulls_out() {
        let texts = Texts::deserialize(json!({"b": 1, "a": true, "n": null, "o": {"x": []}}));
        let pairs = texts.map(|texts| texts.0).unwrap_or_default();
        let pairs: Vec<_> = pairs
            .iter()
            .map(|(n, v)| (n.as_str(), v.as_str()))
            .collect();
        assert_eq!(pairs, [("b", "1"), ("a", "true"), ("o", r#"{"x":[]}"#)]);
        assert!(Vec::<Text>::deserialize(json!(["a", null])).is_err());
    }
}
