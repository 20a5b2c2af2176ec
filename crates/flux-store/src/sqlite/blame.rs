//! Who is at fault for an error of SQLite.

use diesel::result::Error as DieselError;

use crate::error::Blame;

/// diesel gives most of SQLite's errors no kind, only SQLite's fixed English text.
pub(crate) fn blame(error: &DieselError) -> Blame {
    crate::error::blame(error, |_, message| blame_of_text(message))
}

fn blame_of_text(message: &str) -> Blame {
    const BUSY: [&str; 2] = ["database is locked", "database table is locked"];
    const BROKEN: [&str; 7] = [
        "disk I/O error",
        "database or disk is full",
        "unable to open database file",
        "database disk image is malformed",
        "file is not a database",
        "attempt to write a readonly database",
        "locking protocol",
    ];
    if BUSY.iter().any(|text| message.starts_with(text)) {
        Blame::Busy
    } else if BROKEN.iter().any(|text| message.starts_with(text)) {
        Blame::Connection
    } else {
        Blame::Request
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Fail;
    use diesel::result::DatabaseErrorKind;
    use flux_core::ports::Error;

    fn failed(message: &str) -> Fail {
        let text = Box::new(message.to_owned());
        let error = DieselError::DatabaseError(DatabaseErrorKind::Unknown, text);
        Fail::Db(blame(&error), error)
    }

    #[test]
    fn a_lock_and_a_full_disk_are_temporary_and_a_constraint_is_not() {
        assert_eq!(failed("database is locked").blame(), Blame::Busy);
        assert_eq!(
            failed("database or disk is full").blame(),
            Blame::Connection
        );
        assert_eq!(failed("no such column: x").blame(), Blame::Request);
        assert!(Error::from(failed("disk I/O error")).is_transient());
        assert!(!Error::from(failed("CHECK constraint failed: x")).is_transient());
    }
}
