//! Reading and writing JSON.

use super::{Map, Num, Value, ValueError};

/// Most nested levels of a document that is read, as in [`super::Limits::depth`].
const DEPTH: usize = 128;

/// Reads one JSON document (strict JSON, at most 128 levels). Numbers keep all their digits.
///
/// # Errors
/// [`ValueError::Syntax`] with the line and column; [`ValueError::TooDeep`].
pub fn parse(json: &str) -> Result<Value, ValueError> {
    // The value reader accepts more than JSON and recurses without a limit; these passes do not.
    serde_json::from_str::<serde::de::IgnoredAny>(json)
        .map_err(|e| ValueError::Syntax(e.to_string()))?;
    if levels(json) > DEPTH {
        return Err(ValueError::TooDeep(DEPTH));
    }
    jaq_json::read::parse_single(json.as_bytes()).map_err(|e| ValueError::Syntax(e.to_string()))
}

/// Nested levels of a valid document, counting a leaf inside the innermost collection.
fn levels(json: &str) -> usize {
    let (mut open, mut most, mut in_text, mut escaped) = (0_usize, 0, false, false);
    for byte in json.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_text => escaped = true,
            b'"' => in_text = !in_text,
            b'[' | b'{' if !in_text => {
                open += 1;
                most = most.max(open);
            }
            b']' | b'}' if !in_text => open = open.saturating_sub(1),
            _ => {}
        }
    }
    most + 1
}

/// Writes compact JSON. What JSON cannot hold is written as jq does: NaN as `null`, infinity as the
/// largest number.
#[must_use]
pub fn to_json(value: &Value) -> String {
    let mut out = String::new();
    write(value, &mut out);
    out
}

fn write(value: &Value, out: &mut String) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(true) => out.push_str("true"),
        Value::Bool(false) => out.push_str("false"),
        Value::Num(number) => out.push_str(&number_text(number)),
        Value::BStr(bytes) | Value::TStr(bytes) => write_text(&String::from_utf8_lossy(bytes), out),
        Value::Arr(items) => {
            out.push('[');
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                write(item, out);
            }
            out.push(']');
        }
        Value::Obj(map) => {
            out.push('{');
            for (at, (key, item)) in map.iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                match key {
                    Value::TStr(_) | Value::BStr(_) => write(key, out),
                    other => write_text(&to_json(other), out),
                }
                out.push(':');
                write(item, out);
            }
            out.push('}');
        }
    }
}

fn write_text(text: &str, out: &mut String) {
    out.push('"');
    let mut from = 0;
    for (at, byte) in text.bytes().enumerate() {
        let escaped = match byte {
            b'"' => "\\\"",
            b'\\' => "\\\\",
            b'\n' => "\\n",
            b'\r' => "\\r",
            b'\t' => "\\t",
            0..0x20 => "",
            _ => continue,
        };
        out.push_str(&text[from..at]);
        if escaped.is_empty() {
            out.push_str(&format!("\\u{byte:04x}"));
        } else {
            out.push_str(escaped);
        }
        from = at + 1;
    }
    out.push_str(&text[from..]);
    out.push('"');
}

fn number_text(number: &Num) -> String {
    match number {
        Num::Int(n) => n.to_string(),
        Num::BigInt(n) => n.to_string(),
        Num::Float(n) => float_text(*n),
        Num::Dec(digits) => {
            // Numbers in expressions may have leading zeros, numbers in JSON may not.
            if serde_json::from_str::<serde::de::IgnoredAny>(digits).is_ok() {
                digits.to_string()
            } else {
                float_text(digits.parse().unwrap_or(f64::NAN))
            }
        }
    }
}

fn float_text(n: f64) -> String {
    if n.is_nan() {
        return "null".to_owned();
    }
    if let Some(whole) = whole(n) {
        return whole.to_string();
    }
    let finite = n.clamp(f64::MIN, f64::MAX);
    serde_json::Number::from_f64(finite).map_or_else(|| "null".to_owned(), |n| n.to_string())
}

/// The integer that a float is, as far as floats tell neighbouring integers apart; jq writes such
/// numbers without a fraction. Negative zero is none.
pub(crate) fn whole(n: f64) -> Option<i64> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    let is = n.fract() == 0.0 && n.abs() <= EXACT && !(n == 0.0 && n.is_sign_negative());
    is.then_some(n as i64)
}

/// Converts from the value type of `serde_json`.
#[must_use]
pub fn from_serde(value: serde_json::Value) -> Value {
    use serde_json::Value as Json;
    match value {
        Json::Null => Value::Null,
        Json::Bool(b) => Value::Bool(b),
        Json::Number(n) => Value::Num(if let Some(int) = n.as_i64() {
            Num::from_integral(int)
        } else if let Some(int) = n.as_u64() {
            Num::from_integral(int)
        } else {
            Num::Float(n.as_f64().unwrap_or(f64::NAN))
        }),
        Json::String(s) => Value::from(s),
        Json::Array(items) => items.into_iter().map(from_serde).collect(),
        Json::Object(map) => {
            let members = map
                .into_iter()
                .map(|(key, item)| (Value::from(key), from_serde(item)));
            Value::obj(members.collect::<Map>())
        }
    }
}

/// Converts to the value type of `serde_json`. Numbers outside 64-bit integers become floats.
#[must_use]
pub fn to_serde(value: &Value) -> serde_json::Value {
    use serde_json::Value as Json;
    match value {
        Value::Null => Json::Null,
        Value::Bool(b) => Json::Bool(*b),
        Value::Num(number) => match number {
            Num::Int(n) => Json::from(*n),
            other => serde_json::from_str(&number_text(other)).unwrap_or(Json::Null),
        },
        Value::BStr(bytes) | Value::TStr(bytes) => {
            Json::from(String::from_utf8_lossy(bytes).into_owned())
        }
        Value::Arr(items) => items.iter().map(to_serde).collect(),
        Value::Obj(map) => Json::Object(
            map.iter()
                .map(|(key, item)| {
                    let name = super::as_str(key).map_or_else(|| to_json(key), str::to_owned);
                    (name, to_serde(item))
                })
                .collect(),
        ),
    }
}
