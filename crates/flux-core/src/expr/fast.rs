//! The short way for what conditions mostly are: paths, comparisons of paths with literals, and
//! `and`, `or`, `not` of those. Whatever is not plain gives `None`, and jaq decides.

use super::Scope;
use crate::value::{Value, is_truthy};
use jaq_core::load::lex::StrPart;
use jaq_core::load::parse::{BinaryOp, Term};
use jaq_core::ops::Cmp;
use jaq_core::path::{Opt, Part};

static NULL: Value = Value::Null;

/// An expression with a short way.
#[derive(Debug)]
pub enum Fast {
    /// A path or literal.
    Read(Read),
    /// A comparison.
    Compare(Read, Cmp, Read),
    /// `and` (stops at false) or `or` (stops at true).
    Logic(Box<Fast>, bool, Box<Fast>),
    /// `f | not`
    Not(Box<Fast>),
}

/// Something that exists already and only has to be found.
#[derive(Debug)]
pub enum Read {
    /// Members of the input.
    Input(Box<[Value]>),
    /// Members of a variable (without `$`).
    Variable(Box<str>, Box<[Value]>),
    /// A constant.
    Literal(Value),
}

impl Fast {
    /// The short way for a term, if it has one.
    pub fn of(t: &Term<&str>) -> Option<Self> {
        match t {
            Term::BinOp(left, BinaryOp::Cmp(op), right) => {
                Some(Self::Compare(Read::of(left)?, *op, Read::of(right)?))
            }
            Term::BinOp(left, op @ (BinaryOp::And | BinaryOp::Or), right) => {
                let stop = matches!(op, BinaryOp::Or);
                Some(Self::Logic(
                    Box::new(Self::of(left)?),
                    stop,
                    Box::new(Self::of(right)?),
                ))
            }
            Term::BinOp(left, BinaryOp::Pipe(None), right) => match &**right {
                Term::Call("not", args) if args.is_empty() => {
                    Some(Self::Not(Box::new(Self::of(left)?)))
                }
                _ => None,
            },
            other => Read::of(other).map(Self::Read),
        }
    }

    /// The value, or `None` where jaq has to decide (it is an error, most likely).
    pub fn eval(&self, input: &Value, scope: &Scope) -> Option<Value> {
        match self {
            Self::Read(read) => read.find(input, scope).cloned(),
            other => other.test(input, scope).map(Value::Bool),
        }
    }

    fn test(&self, input: &Value, scope: &Scope) -> Option<bool> {
        match self {
            Self::Read(read) => read.find(input, scope).map(is_truthy),
            Self::Compare(left, op, right) => {
                Some(op.run(left.find(input, scope)?, right.find(input, scope)?))
            }
            Self::Logic(left, stop, right) => {
                if left.test(input, scope)? == *stop {
                    return Some(*stop);
                }
                right.test(input, scope)
            }
            Self::Not(inner) => inner.test(input, scope).map(|truth| !truth),
        }
    }
}

impl Read {
    fn of(t: &Term<&str>) -> Option<Self> {
        match t {
            Term::Id => Some(Self::Input(Box::new([]))),
            Term::Var(name) => Some(Self::Variable(name.strip_prefix('$')?.into(), Box::new([]))),
            Term::Path(from, path) => {
                let keys = path.0.iter().map(|(part, opt)| match (part, opt) {
                    (Part::Index(t), Opt::Essential) => literal_text(t).map(Value::from),
                    _ => None,
                });
                let keys = keys.collect::<Option<_>>()?;
                match &**from {
                    Term::Id => Some(Self::Input(keys)),
                    Term::Var(name) => Some(Self::Variable(name.strip_prefix('$')?.into(), keys)),
                    _ => None,
                }
            }
            Term::Num(digits) => number(digits).map(Self::Literal),
            Term::Call("true", args) if args.is_empty() => Some(Self::Literal(Value::Bool(true))),
            Term::Call("false", args) if args.is_empty() => Some(Self::Literal(Value::Bool(false))),
            Term::Call("null", args) if args.is_empty() => Some(Self::Literal(Value::Null)),
            other => literal_text(other).map(|text| Self::Literal(Value::from(text))),
        }
    }

    fn find<'v>(&'v self, input: &'v Value, scope: &'v Scope) -> Option<&'v Value> {
        match self {
            Self::Input(keys) => walk(input, keys),
            Self::Variable(name, keys) => walk(scope.get(name).unwrap_or(&NULL), keys),
            Self::Literal(value) => Some(value),
        }
    }
}

fn walk<'v>(from: &'v Value, keys: &[Value]) -> Option<&'v Value> {
    keys.iter().try_fold(from, |at, key| match at {
        Value::Obj(map) => Some(map.get(key).unwrap_or(&NULL)),
        Value::Null => Some(&NULL),
        _ => None,
    })
}

fn number(digits: &str) -> Option<Value> {
    match digits.parse::<isize>() {
        Ok(int) => Some(Value::from(int)),
        Err(_) => jaq_core::ValT::from_num(digits).ok(),
    }
}

/// The text of a literal without computed parts.
fn literal_text(t: &Term<&str>) -> Option<String> {
    let Term::Str(None, parts) = t else {
        return None;
    };
    let mut text = String::new();
    for part in parts {
        match part {
            StrPart::Str(s) => text.push_str(s),
            StrPart::Char(c) => text.push(*c),
            StrPart::Term(_) => return None,
        }
    }
    Some(text)
}
