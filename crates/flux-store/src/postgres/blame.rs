//! Who is at fault for an error of PostgreSQL.

use diesel::result::{DatabaseErrorKind, Error as DieselError};

use crate::error::Blame;

/// diesel keeps the kind of some errors and the text of all, but not the code, and the text is in the
/// language of the server. So what is not surely the fault of the request counts as a hindrance
/// that may pass (a lock, a deadlock, a full disk, a shutdown): it is tried again, and nothing fails for good.
pub(crate) fn blame(error: &DieselError) -> Blame {
    crate::error::blame(error, |kind, message| match kind {
        // A primary that was demoted under us: the next connection finds the new one.
        DatabaseErrorKind::ReadOnlyTransaction
        | DatabaseErrorKind::ClosedConnection
        | DatabaseErrorKind::UnableToSendCommand => Blame::Connection,
        _ if is_of_value(message) => Blame::Request,
        _ => Blame::Busy,
    })
}

/// What PostgreSQL says, in English, of a value that it can never keep.
fn is_of_value(message: &str) -> bool {
    const OF_VALUE: [&str; 4] = [
        "invalid byte sequence",
        "index row size",
        "index row requires",
        "value too long",
    ];
    OF_VALUE.iter().any(|text| message.starts_with(text))
}
