//! What may go wrong.

use tonic::{Code, Status};
use tonic_types::StatusExt;

/// Why a call has failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A setting of the client is wrong.
    #[error("{0}")]
    Setting(String),
    /// No engine could be reached, or none was able to answer, for as long as the client waits.
    #[error("no engine answers at {addresses}: {reason}")]
    Unreachable {
        /// Where they were looked for.
        addresses: String,
        /// What the last one said, or why it could not be reached.
        reason: String,
    },
    /// An engine has refused the call.
    #[error("{}", describe(.0))]
    Refused(Box<Status>),
}

impl Error {
    /// The code of the engine's answer.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::Setting(_) => Code::InvalidArgument,
            Self::Unreachable { .. } => Code::Unavailable,
            Self::Refused(status) => status.code(),
        }
    }
}

/// The message, and what is wrong with which field.
fn describe(status: &Status) -> String {
    let mut text = status.message().to_owned();
    let violations = status
        .get_details_bad_request()
        .map(|details| details.field_violations)
        .unwrap_or_default();
    for violation in violations {
        // The message of the status may say the same already.
        if !text.contains(&violation.description) {
            text += &format!("\n  {}: {}", violation.field, violation.description);
        }
    }
    text
}
