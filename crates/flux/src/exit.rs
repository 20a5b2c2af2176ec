//! Exit codes, and the failures that lead to them.

/// The run faulted.
pub const FAULTED: u8 = 3;
/// The run was cancelled.
pub const CANCELLED: u8 = 4;
/// `--timeout` passed, the run goes on.
pub const TIMEOUT: u8 = 5;
/// A definition is not valid.
pub const INVALID: u8 = 6;
/// There is no such thing.
pub const NOT_FOUND: u8 = 7;
/// A precondition does not hold.
pub const CONFLICT: u8 = 8;
/// The store cannot be reached.
pub const UNAVAILABLE: u8 = 69;
/// Try again later.
pub const TRY_AGAIN: u8 = 75;
/// A setting is wrong.
pub const CONFIG: u8 = 78;
/// Interrupted from the keyboard.
pub const INTERRUPTED: u8 = 130;

/// Why a command failed, and what to do.
#[derive(Debug)]
pub struct Failure {
    /// Exit code.
    pub code: u8,
    /// What happened and where; may have several lines.
    pub message: String,
    /// What to do.
    pub help: Option<String>,
}

impl Failure {
    /// A failure with this exit code.
    pub fn new(code: u8, message: impl Into<String>) -> Failure {
        Failure {
            code,
            message: message.into(),
            help: None,
        }
    }

    /// The same with a hint.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Failure {
        self.help = Some(help.into());
        self
    }
}

impl From<flux_core::ports::Error> for Failure {
    fn from(error: flux_core::ports::Error) -> Failure {
        let code = if error.is_transient() { UNAVAILABLE } else { 1 };
        Failure::new(code, error.to_string())
    }
}
