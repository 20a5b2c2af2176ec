//! The variables of one evaluation.

use crate::value::Value;
use std::borrow::Cow;

/// A short list of variables by name (without `$`). Cloning copies references to the values.
#[derive(Clone, Debug, Default)]
pub struct Scope(Vec<(Cow<'static, str>, Value)>);

impl Scope {
    /// No variables.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// With one more variable.
    #[must_use]
    pub fn with(mut self, name: impl Into<Cow<'static, str>>, value: Value) -> Self {
        self.set(name, value);
        self
    }

    /// Sets a variable, replacing its former value.
    pub fn set(&mut self, name: impl Into<Cow<'static, str>>, value: Value) {
        let name = name.into();
        match self.0.iter_mut().find(|(known, _)| *known == name) {
            Some((_, old)) => *old = value,
            None => self.0.push((name, value)),
        }
    }

    /// The value of a variable.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value)
    }
}
