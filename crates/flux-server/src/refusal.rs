//! Refusals as gRPC knows them: a code, a sentence, and details for programs.

use flux_core::branch::RunState;
use flux_core::ports;
use flux_engine::Missing;
use std::collections::HashMap;
use std::time::Duration;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, FieldViolation, StatusExt};

/// The domain of all reasons.
pub(crate) const DOMAIN: &str = "flux";

/// When to try again what the store could not do now.
const AGAIN: Duration = Duration::from_secs(1);

/// Longest sentence in bytes. All of a refusal travels in headers, of which clients take a few KiB.
const LONGEST: usize = 1_000;

/// A refusal with a reason and what it is about.
pub(crate) fn refusal(code: Code, reason: &str, about: &[(&str, &str)], text: &str) -> Status {
    let about = about
        .iter()
        .map(|(name, value)| ((*name).to_owned(), shortened(value, 200)));
    let about: HashMap<String, String> = about.collect();
    let details = ErrorDetails::with_error_info(reason, DOMAIN, about);
    Status::with_error_details(code, shortened(text, LONGEST), details)
}

/// There is no such resource.
pub(crate) fn not_found(kind: &str, name: &str) -> Status {
    let reason = format!("{}_NOT_FOUND", kind.to_uppercase());
    let text = format!("there is no {kind} `{}`", shortened(name, 200));
    refusal(Code::NotFound, &reason, &[("resource", name)], &text)
}

/// Not possible in the state in which the run is.
pub(crate) fn wrong_state(name: &str, state: RunState) -> Status {
    let text = format!("{name} is {state}, which does not allow it");
    let about = [("resource", name), ("state", state.name())];
    refusal(Code::FailedPrecondition, "WRONG_STATE", &about, &text)
}

/// Too much at a time.
pub(crate) fn exhausted(reason: &str, text: &str) -> Status {
    refusal(Code::ResourceExhausted, reason, &[], text)
}

/// Not now: the client may ask again, this engine or another one.
pub(crate) fn unavailable(reason: &str, text: &str) -> Status {
    let mut details =
        ErrorDetails::with_error_info(reason, DOMAIN, HashMap::<String, String>::new());
    details.set_retry_info(Some(AGAIN));
    Status::with_error_details(Code::Unavailable, shortened(text, LONGEST), details)
}

/// What the store could not do.
pub(crate) fn of_store(error: ports::Error) -> Status {
    match error {
        ports::Error::Unavailable(_) => unavailable("STORE_UNAVAILABLE", &error.to_string()),
        ports::Error::Corrupt(_) => internal("STORE_CORRUPT", &error),
        ports::Error::Internal(_) => internal("INTERNAL", &error),
        ports::Error::Refused(_) => {
            refusal(Code::FailedPrecondition, "REFUSED", &[], &error.to_string())
        }
    }
}

fn internal(reason: &str, error: &ports::Error) -> Status {
    tracing::error!("a request of a client failed: {error}");
    let text = "the engine could not do it; its log says why";
    refusal(Code::Internal, reason, &[], text)
}

/// Why there is no chart for a workflow.
pub(crate) fn of_missing(missing: Missing, name: &str) -> Status {
    match missing {
        Missing::Store(error) => of_store(error),
        Missing::Unknown(_) => not_found("workflow", name),
        Missing::Refused(..) => {
            let reason = "WORKFLOW_NOT_UNDERSTOOD";
            let about = [("resource", name)];
            refusal(
                Code::FailedPrecondition,
                reason,
                &about,
                &missing.to_string(),
            )
        }
    }
}

/// What is wrong with a request; `about` says it of the first fault.
pub(crate) fn bad_request(
    reason: &str,
    text: &str,
    about: HashMap<String, String>,
    violations: Vec<FieldViolation>,
) -> Status {
    let mut details = ErrorDetails::with_error_info(reason, DOMAIN, about);
    details.set_bad_request(violations);
    Status::with_error_details(Code::InvalidArgument, shortened(text, LONGEST), details)
}

/// At most so many bytes of a text.
pub(crate) fn shortened(text: &str, longest: usize) -> String {
    if text.len() <= longest {
        return text.to_owned();
    }
    let end = text.floor_char_boundary(longest);
    format!("{}..", &text[..end])
}
