//! Native filters of our own: the guards woven into expressions, and replacements for operations
//! that could allocate without a limit. Their names start with `__`, which expressions may not use.

use super::budget::{self, CAP, ITEMS, Stop};
use crate::value::{self, Num, Value};
use jaq_core::box_iter::box_once;
use jaq_core::native::{Fun, bome, run, v};
use jaq_core::{DataT, Error, Exn, Native, ValR, ValX, ValXs, data::JustLut};

/// What jaq runs on here.
pub type Data = JustLut<Value>;
type Filter = jaq_core::native::Filter<jaq_core::RunPtr<Data>>;

/// Longest path in `getpath` and `path(..)`.
const PATH: usize = 128;
/// Most text a global regular expression may search, times its groups: each match is an object.
const SEARCH: usize = 256 << 10;

fn halt<'a>(stop: Stop) -> Exn<'a, Value> {
    Exn::halt(stop as i32)
}

fn pass<'a>(value: Value, check: fn(&Value) -> Result<(), Stop>) -> ValXs<'a, Value> {
    let result: ValX<'a, Value> = check(&value).map_err(halt).map(|()| value);
    box_once(result)
}

/// All natives an expression can reach: jaq's own without those replaced here, and ours.
pub fn all() -> impl Iterator<Item = Fun<Data>> {
    let theirs = jaq_core::funs::<Data>()
        .chain(jaq_std::funs())
        .chain(jaq_json::funs());
    theirs
        .filter(|(name, ..)| !super::refuse::is_hidden(name))
        .chain(own().into_iter().map(run::<Data>))
        .chain([step(), slice(), open()])
}

fn own() -> Vec<Filter> {
    vec![
        ("__item", v(0), |cv| pass(cv.1, budget::keep)),
        ("__bind", v(0), |cv| pass(cv.1, budget::keep_text)),
        ("__rank", v(0), |cv| pass(cv.1, budget::rank)),
        ("__work", v(0), |cv| pass(cv.1, budget::work)),
        ("__check", v(0), |cv| {
            pass(cv.1, |value| budget::inspect(value).map(|_| ()))
        }),
        ("__put", v(0), |cv| pass(cv.1, budget::put)),
        ("__sum", v(0), |cv| pass(cv.1, budget::sum)),
        ("__part", v(0), |cv| pass(cv.1, budget::part)),
        ("__chars", v(0), |cv| pass(cv.1, explode_work)),
        ("__index", v(0), |cv| pass(cv.1, index_work)),
        ("__path", v(0), |cv| pass(cv.1, path_length)),
        ("__key", v(0), |cv| bome(key(cv.1))),
        ("__search", v(2), |mut cv| {
            let (flags, regex) = (cv.0.pop_var(), cv.0.pop_var());
            let result = search_work(&cv.1, &regex, &flags);
            box_once(result.map(|()| cv.1).map_err(halt))
        }),
        ("__pairs", v(1), |mut cv| {
            let other = cv.0.pop_var();
            box_once(pair_work(&cv.1, &other).map(|()| cv.1).map_err(halt))
        }),
        ("__mul", v(2), |mut cv| {
            let (right, left) = (cv.0.pop_var(), cv.0.pop_var());
            box_once(multiply(left, right))
        }),
        ("__div", v(2), |mut cv| {
            let (right, left) = (cv.0.pop_var(), cv.0.pop_var());
            box_once(divide(left, right))
        }),
        ("fromjson", v(0), |cv| bome(from_json(&cv.1))),
    ]
}

/// `__step` counts one step wherever the value flows, also in paths and updates.
fn step() -> Fun<Data> {
    let native = Native::<Data>::new(|cv| box_once(budget::steps(1).map_err(halt).map(|()| cv.1)))
        .with_paths(|cv| {
            let too_long = cv.1.1.skip(PATH).head().is_some();
            let counted = if too_long {
                Err(Stop::Deep)
            } else {
                budget::steps(1)
            };
            box_once(counted.map_err(halt).map(|()| cv.1))
        })
        .with_update(|cv, update| {
            if let Err(stop) = budget::steps(1) {
                return box_once(Err(halt(stop)));
            }
            // Lazy outputs would escape the count of nested updates.
            match budget::nested(|| update(cv.1).collect::<Vec<_>>()) {
                Ok(outputs) => Box::new(outputs.into_iter()),
                Err(stop) => box_once(Err(halt(stop))),
            }
        });
    ("__step", v(0), native)
}

/// `__slice` counts what a slice copies; slices can be updated, so this can too.
fn slice() -> Fun<Data> {
    let native = Native::<Data>::new(|cv| pass(cv.1, slice_work))
        .with_paths(|cv| {
            let counted = slice_work(&cv.1.0);
            box_once(counted.map_err(halt).map(|()| cv.1))
        })
        .with_update(|cv, update| match slice_work(&cv.1) {
            Ok(()) => update(cv.1),
            Err(stop) => box_once(Err(halt(stop))),
        });
    ("__slice", v(0), native)
}

/// `__open` lets an update of a member find an object where there is `null`.
fn open() -> Fun<Data> {
    let native = Native::<Data>::new(|cv| box_once(Ok(cv.1)))
        .with_paths(|cv| box_once(Ok(cv.1)))
        .with_update(|cv, update| match cv.1 {
            Value::Null => {
                let outputs = update(value::object::<&str>([]));
                Box::new(outputs.map(|output| {
                    output.map(|new| match new {
                        Value::Obj(map) if map.is_empty() => Value::Null,
                        other => other,
                    })
                }))
            }
            other => update(other),
        });
    ("__open", v(0), native)
}

fn slice_work(value: &Value) -> Result<(), Stop> {
    let len = match value {
        Value::Arr(items) => items.len(),
        Value::TStr(bytes) => bytes.len() / 16,
        _ => 0,
    };
    budget::steps(len as u64 / 64)
}

fn explode_work(value: &Value) -> Result<(), Stop> {
    match value {
        Value::TStr(bytes) | Value::BStr(bytes) if bytes.len() > ITEMS => Err(Stop::Large),
        Value::TStr(bytes) => budget::steps(bytes.len() as u64 / 64),
        _ => Ok(()),
    }
}

/// `.[array]` searches the array in the input.
fn index_work(index: &Value) -> Result<(), Stop> {
    match index {
        Value::Arr(items) if items.len() > 16 => Err(Stop::Large),
        _ => Ok(()),
    }
}

fn path_length(path: &Value) -> Result<(), Stop> {
    match path {
        Value::Arr(items) if items.len() > PATH => Err(Stop::Deep),
        _ => Ok(()),
    }
}

fn key(value: Value) -> ValR<Value> {
    match value {
        Value::TStr(_) => Ok(value),
        other => Err(Error::typ(other, "object key (keys are texts)")),
    }
}

fn search_work(input: &Value, regex: &Value, flags: &Value) -> Result<(), Stop> {
    let len = |value: &Value| match value {
        Value::TStr(bytes) => bytes.len(),
        _ => 0,
    };
    let has =
        |value: &Value, byte: u8| matches!(value, Value::TStr(bytes) if bytes.contains(&byte));
    let groups = match regex {
        Value::TStr(bytes) => 1 + bytes.iter().filter(|byte| **byte == b'(').count(),
        _ => 1,
    };
    if len(regex) > 1024 || (has(flags, b'g') && len(input).saturating_mul(groups) > SEARCH) {
        return Err(Stop::Large);
    }
    let work = len(input).saturating_mul(len(regex)) / 1024;
    budget::steps(20 + work as u64)
}

/// Work of comparing every part of one value with every part of another.
fn pair_work(left: &Value, right: &Value) -> Result<(), Stop> {
    let work = budget::inspect(left)?.saturating_mul(budget::inspect(right)?);
    budget::steps(work as u64 / 4096)
}

fn multiply<'a>(left: Value, right: Value) -> ValX<'a, Value> {
    let too_large = match (&left, &right) {
        (Value::TStr(text) | Value::BStr(text), Value::Num(n))
        | (Value::Num(n), Value::TStr(text) | Value::BStr(text)) => {
            let times = match n {
                Num::Int(times) => usize::try_from(*times).unwrap_or(0),
                Num::BigInt(_) if is_negative(n) => 0,
                Num::BigInt(_) => usize::MAX,
                _ => 0,
            };
            // An empty text repeated costs its loop, so it counts as one byte.
            text.len().max(1).saturating_mul(times) > CAP.bytes
        }
        (Value::Num(Num::BigInt(l)), Value::Num(Num::BigInt(r))) => {
            l.bits().saturating_add(r.bits()) > 1 << 16
        }
        (Value::Obj(_), Value::Obj(_)) => {
            budget::put(&right).map_err(halt)?;
            false
        }
        _ => false,
    };
    if too_large {
        return Err(halt(Stop::Large));
    }
    let product = (left * right)?;
    budget::sum(&product).map_err(halt)?;
    Ok(product)
}

fn is_negative(n: &Num) -> bool {
    n < &Num::Int(0)
}

fn divide<'a>(left: Value, right: Value) -> ValX<'a, Value> {
    if let (Value::TStr(text), Value::TStr(_)) = (&left, &right) {
        if text.len() > ITEMS {
            return Err(halt(Stop::Large));
        }
        budget::steps(text.len() as u64 / 64).map_err(halt)?;
    }
    let quotient = (left / right)?;
    // As jq has it: 6 / 3 is 2, also where the number becomes a text.
    Ok(match quotient {
        Value::Num(Num::Float(n)) => match value::whole(n) {
            Some(whole) => Value::Num(Num::from_integral(whole)),
            None => quotient,
        },
        _ => quotient,
    })
}

fn from_json(input: &Value) -> ValR<Value> {
    let Some(text) = value::as_str(input) else {
        return Err(Error::typ(input.clone(), "string"));
    };
    value::parse(text).map_err(Error::str)
}

const _: fn() = || {
    fn shared<T: Send + Sync>() {}
    shared::<jaq_core::Filter<Data>>();
    fn data<D: DataT>() {}
    data::<Data>();
};
