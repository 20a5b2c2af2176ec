//! Expressions: jq, guarded.
//!
//! An engine must not die of an expression. jaq, which evaluates them, takes no measures against
//! exhaustion, so an expression passes three guards: `prescan` refuses text that could overflow the
//! stack of the parser, `guard` refuses functions that run for ever or depend on the world outside,
//! and `instrument` weaves counters and size checks into everything that loops or builds values.

mod budget;
mod compile;
mod fast;
mod guard;
mod instrument;
mod library;
mod natives;
mod prescan;
mod refuse;
mod scope;
mod suggest;
#[cfg(test)]
mod tests;

pub use scope::Scope;

use crate::value::Value;
use budget::Stop;
use std::fmt;
use std::ops::Range;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, OnceLock};

type Filter = jaq_core::Filter<natives::Data>;

/// A compiled expression. Cloning is cheap.
#[derive(Clone)]
pub struct Expr(Arc<Inner>);

struct Inner {
    text: String,
    /// Declared variables, without `$`.
    vars: Vec<String>,
    fast: Option<fast::Fast>,
    /// What jaq runs; compiled on first use when there is a fast path.
    filter: OnceLock<Filter>,
}

/// Why an expression was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct CompileError {
    /// What is wrong.
    pub message: String,
    /// Where, as a range of bytes in the text.
    pub at: Range<usize>,
    /// What to do about it.
    pub help: Option<String>,
}

/// Why an evaluation gave no value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EvalError {
    /// The expression does not fit the data, or called `error`.
    #[error("{0}")]
    Failed(String),
    /// It took too many steps or too long.
    #[error("{0}")]
    Budget(String),
    /// It built a value that is too large or too deep.
    #[error("{0}")]
    TooLarge(String),
}

impl Expr {
    /// Compiles an expression. `vars` are names without `$` that may be used as `$name`.
    ///
    /// # Errors
    /// The first thing wrong with the text, with its place.
    pub fn compile(text: &str, vars: &[&str]) -> Result<Self, CompileError> {
        let vars: Vec<String> = vars.iter().map(|name| (*name).to_owned()).collect();
        let compiled = compile::judge(text, &vars)?;
        let filter = OnceLock::new();
        let fast = match fast::Fast::of(&compiled.term) {
            Some(fast) => Some(fast),
            None => {
                let built = compile::build(text, compiled, &vars)?;
                filter.get_or_init(|| built);
                None
            }
        };
        Ok(Self(Arc::new(Inner {
            text: text.to_owned(),
            vars,
            fast,
            filter,
        })))
    }

    /// The first output for `input`; `null` when the expression gives none.
    ///
    /// # Errors
    /// [`EvalError`]: the expression failed, or used more than one evaluation may.
    pub fn eval(&self, input: &Value, vars: &Scope) -> Result<Value, EvalError> {
        if let Some(value) = self.0.fast.as_ref().and_then(|fast| fast.eval(input, vars)) {
            return Ok(value);
        }
        self.eval_slow(input, vars)
    }

    /// The text it was compiled from.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.0.text
    }

    fn eval_slow(&self, input: &Value, vars: &Scope) -> Result<Value, EvalError> {
        let filter = self.filter()?;
        let values = self
            .0
            .vars
            .iter()
            .map(|name| vars.get(name).cloned().unwrap_or_default());
        let ctx = jaq_core::Ctx::<natives::Data>::new(&filter.lut, jaq_core::Vars::new(values));
        budget::start();
        // jaq panics on a few arithmetic overflows; that must not end the engine.
        let run = || filter.id.run((ctx, input.clone())).next();
        let first = std::panic::catch_unwind(AssertUnwindSafe(run))
            .map_err(|_| EvalError::Failed("the calculation overflowed".to_owned()))?;
        match first {
            None => Ok(Value::Null),
            Some(Ok(value)) => finish(value),
            Some(Err(exception)) => Err(match exception.get_halt() {
                Ok(code) => stopped(Stop::from_code(code)),
                Err(exception) => failed(exception),
            }),
        }
    }

    fn filter(&self) -> Result<&Filter, EvalError> {
        if let Some(filter) = self.0.filter.get() {
            return Ok(filter);
        }
        let Inner {
            text, vars, filter, ..
        } = &*self.0;
        let built =
            compile::judge(text, vars).and_then(|compiled| compile::build(text, compiled, vars));
        let built = built.map_err(|e| EvalError::Failed(e.message))?;
        Ok(filter.get_or_init(|| built))
    }
}

impl fmt::Debug for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Expr").field(&self.0.text).finish()
    }
}

fn finish(value: Value) -> Result<Value, EvalError> {
    match crate::value::check(&value, &budget::CAP) {
        Ok(()) => Ok(value),
        Err(e @ crate::value::ValueError::Key(_)) => Err(EvalError::Failed(e.to_string())),
        Err(_) => Err(stopped(Stop::Large)),
    }
}

fn stopped(stop: Stop) -> EvalError {
    match stop {
        Stop::Steps => EvalError::Budget(format!(
            "the expression took more than {} steps",
            budget::STEPS
        )),
        Stop::Time => EvalError::Budget("the expression took too long".to_owned()),
        Stop::Kept => EvalError::TooLarge("the expression builds too many large values".to_owned()),
        Stop::Deep => EvalError::TooLarge(format!(
            "the expression built a value or path of more than {} levels",
            budget::CAP.depth
        )),
        Stop::Large => EvalError::TooLarge(format!(
            "the expression built a value of more than {} MiB",
            budget::CAP.bytes >> 20
        )),
    }
}

/// Longest error message handed on, in bytes.
const MESSAGE: usize = 500;

fn failed(exception: jaq_core::Exn<'_, Value>) -> EvalError {
    let value = match exception.get_err() {
        Ok(error) => error.into_val(),
        Err(_) => {
            return EvalError::Failed("the expression left a loop that is not there".to_owned());
        }
    };
    let mut message = match crate::value::as_str(&value) {
        Some(text) => text.to_owned(),
        None => crate::value::to_json(&value),
    };
    if message.len() > MESSAGE {
        let end = (0..=MESSAGE)
            .rev()
            .find(|at| message.is_char_boundary(*at))
            .unwrap_or(0);
        message.truncate(end);
        message.push_str("...");
    }
    EvalError::Failed(message)
}
