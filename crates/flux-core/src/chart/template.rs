//! Data with expressions in it.

use crate::expr::{EvalError, Expr, Scope};
use crate::value::{self, Value};

/// Data with `${ }` expressions in it, compiled.
#[derive(Clone, Debug)]
pub enum Template {
    /// No expression in it.
    Literal(Value),
    /// One expression.
    Expr(Expr),
    /// An array.
    Array(Vec<Template>),
    /// An object, in the order written.
    Object(Vec<(String, Template)>),
    /// A URI template such as `https://host/{name}`; `{name}` is `.name` of the input or `$name`,
    /// percent-encoded.
    Uri(Vec<UriPart>),
}

/// A part of a URI template.
#[derive(Clone, Debug)]
pub enum UriPart {
    /// As written.
    Text(String),
    /// The value of an expression, percent-encoded as one path segment or query value.
    Value(Expr),
}

impl Template {
    /// The data with every expression replaced by its value.
    pub fn eval(&self, input: &Value, vars: &Scope) -> Result<Value, EvalError> {
        match self {
            Template::Literal(value) => Ok(value.clone()),
            Template::Expr(expr) => expr.eval(input, vars),
            Template::Array(items) => {
                let items: Result<Vec<_>, _> =
                    items.iter().map(|item| item.eval(input, vars)).collect();
                Ok(value::array(items?))
            }
            Template::Object(fields) => {
                let fields: Result<Vec<_>, _> = fields
                    .iter()
                    .map(|(name, field)| Ok((name.clone(), field.eval(input, vars)?)))
                    .collect();
                Ok(value::object(fields?))
            }
            Template::Uri(parts) => uri(parts, input, vars),
        }
    }
}

fn uri(parts: &[UriPart], input: &Value, vars: &Scope) -> Result<Value, EvalError> {
    let mut text = String::new();
    for part in parts {
        match part {
            UriPart::Text(fixed) => text.push_str(fixed),
            UriPart::Value(expr) => {
                let value = expr.eval(input, vars)?;
                match value::as_str(&value) {
                    Some(string) => percent_encode(string, &mut text),
                    None => percent_encode(&value::to_json(&value), &mut text),
                }
            }
        }
    }
    Ok(value::text(&text))
}

/// RFC 3986: everything but unreserved characters.
fn percent_encode(value: &str, into: &mut String) {
    for byte in value.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                into.push(byte as char);
            }
            _ => into.push_str(&format!("%{byte:02X}")),
        }
    }
}
