//! Collects everything that is wrong with a request, to be told at once.

use crate::names;
use crate::refusal::{bad_request, shortened};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use flux_core::chart::WorkflowName;
use flux_core::clock::Timestamp;
use flux_core::ids::{Incarnation, RunId};
use flux_core::throttle::Scope;
use flux_core::value::{self, Limits, Value};
use std::collections::HashMap;
use tonic::Status;
use tonic_types::FieldViolation;
use uuid::Uuid;

/// Faults that are told of one request, at most.
const MOST: usize = 20;

/// The faults of a request. What a method gives back after a fault is a mere placeholder: nobody gets
/// past [`Check::done`] with it.
#[derive(Default)]
pub(crate) struct Check {
    violations: Vec<FieldViolation>,
    /// Field, value and example of the first fault.
    first: HashMap<String, String>,
    count: usize,
}

impl Check {
    /// `field` has a wrong value.
    pub fn fault(&mut self, field: &str, value: &str, must: &str, example: &str) {
        self.count += 1;
        if self.violations.len() == MOST {
            return;
        }
        let value = shortened(value, 60);
        if self.violations.is_empty() {
            let first = [("field", field), ("value", &value), ("example", example)];
            let owned = first.map(|(name, text)| (name.to_owned(), text.to_owned()));
            self.first = HashMap::from(owned);
        }
        let text = format!("`{value}` must be {must}; for example `{example}`");
        self.violations.push(FieldViolation::new(field, text));
    }

    /// Nothing, or the refusal of the request.
    pub fn done(self) -> Result<(), Status> {
        let Some(first) = self.violations.first() else {
            return Ok(());
        };
        let more = match self.count {
            1 => String::new(),
            count => format!(" (and {} more)", count - 1),
        };
        let text = format!("{}: {}{more}", first.field, first.description);
        Err(bad_request(
            "INVALID_FIELD",
            &text,
            self.first,
            self.violations,
        ))
    }

    /// A run's name.
    pub fn run(&mut self, field: &str, name: &str) -> RunId {
        self.uuid(field, name, "runs", names::RUN)
            .map_or(RunId::new(Uuid::nil()), RunId::new)
    }

    /// The name of a throttle.
    pub fn throttle(&mut self, field: &str, name: &str) -> Scope {
        names::parse_throttle(name).unwrap_or_else(|| {
            self.fault(field, name, "the name of a throttle", names::THROTTLE);
            Scope::workflow("", "")
        })
    }

    /// An engine's name; `engines/-` is `None`.
    pub fn engine(&mut self, field: &str, name: &str) -> Option<Incarnation> {
        if name == names::OWN_ENGINE {
            return None;
        }
        self.uuid(field, name, "engines", names::ENGINE)
            .map(Incarnation::new)
    }

    fn uuid(&mut self, field: &str, name: &str, folder: &str, example: &str) -> Option<Uuid> {
        let id = names::uuid(folder, name);
        if id.is_none() {
            self.fault(
                field,
                name,
                &format!("{folder}/ and a UUID in lower case"),
                example,
            );
        }
        id
    }

    /// A workflow version's name, which may be `latest`.
    pub fn workflow(&mut self, field: &str, name: &str) -> WorkflowName {
        names::parse_workflow(name).unwrap_or_else(|| {
            let must = "namespaces/{namespace}/workflows/{workflow}/versions/{version}";
            self.fault(field, name, must, names::WORKFLOW);
            WorkflowName {
                namespace: String::new(),
                name: String::new(),
                version: String::new(),
            }
        })
    }

    /// The length of a page.
    pub fn page_size(&mut self, size: i32, usual: u32) -> u32 {
        match u32::try_from(size) {
            Ok(0) => usual,
            Ok(size) => size.min(1_000),
            Err(_) => {
                let must = "0 for the usual size, or 1 to 1000";
                self.fault("page_size", &size.to_string(), must, "100");
                usual
            }
        }
    }

    /// What a token says after its version byte; nothing for an empty one.
    pub fn token(&mut self, field: &str, token: &str, version: u8) -> Option<Vec<u8>> {
        if token.is_empty() {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(token).ok();
        let said = bytes.filter(|bytes| bytes.first() == Some(&version));
        if said.is_none() {
            self.bad_token(field, token);
        }
        said.map(|mut bytes| bytes.split_off(1))
    }

    /// A token that this interface has not given out.
    pub fn bad_token(&mut self, field: &str, token: &str) {
        let must = "empty, or exactly what an answer before gave";
        self.fault(field, token, must, "");
    }

    /// JSON text; empty is `null`.
    pub fn json(&mut self, field: &str, text: &str) -> Value {
        let text = if text.is_empty() { "null" } else { text };
        let parsed = value::parse(text).and_then(|parsed| {
            value::check(&parsed, &Limits::default())?;
            Ok(parsed)
        });
        parsed.unwrap_or_else(|error| {
            let must = format!("JSON that can be taken ({error})");
            self.fault(field, text, &must, "{\"order\": 7}");
            value::text("")
        })
    }

    /// A moment.
    pub fn time(&mut self, field: &str, time: prost_types::Timestamp) -> Timestamp {
        let micros = time.seconds.checked_mul(1_000_000);
        let micros = micros.and_then(|micros| micros.checked_add(i64::from(time.nanos / 1_000)));
        match micros {
            Some(micros) if (0..1_000_000_000).contains(&time.nanos) => {
                Timestamp::from_micros(micros)
            }
            _ => {
                let given = format!("{} s {} ns", time.seconds, time.nanos);
                self.fault(
                    field,
                    &given,
                    "a moment with 0 to 999999999 ns",
                    "1700000000 s 0 ns",
                );
                Timestamp::default()
            }
        }
    }
}

/// A token that says this to [`Check::token`].
pub(crate) fn token(version: u8, says: &[u8]) -> String {
    let mut bytes = vec![version];
    bytes.extend_from_slice(says);
    URL_SAFE_NO_PAD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::{Check, token};

    #[test]
    fn a_token_says_what_it_was_given_to_its_own_kind_only() {
        let mut check = Check::default();
        let given = token(1, b"id");
        assert_eq!(check.token("page_token", &given, 1), Some(b"id".to_vec()));
        assert_eq!(check.token("page_token", "", 1), None);
        assert!(check.done().is_ok());
        for (wrong, version) in [(given.as_str(), 2), ("=", 1), ("AQ==", 1)] {
            let mut check = Check::default();
            assert_eq!(check.token("page_token", wrong, version), None);
            assert!(check.done().is_err(), "{wrong}");
        }
    }
}
