//! `run: shell`: a command line of `/bin/sh`.

use super::child::{Arguments, Command};
use super::with::With;
use flux_core::chart::Fault;

/// `/bin/sh -c command`, with the arguments as `$1`, `$2`, ...: data in arguments is never parsed
/// by the shell, unlike data that an expression pastes into `command`.
pub(super) fn command(with: &With) -> Result<Command, Fault> {
    let line: String = with.required("command", "'echo \"$1\"'")?;
    let arguments: Arguments = with.optional("arguments", "[first, second]")?;
    let mut all = vec!["-c".to_owned(), line, "sh".to_owned()];
    all.extend(arguments.0);
    Ok(Command {
        // Not the line itself: an expression may have pasted a secret into it.
        name: "the shell command".to_owned(),
        program: "/bin/sh".to_owned(),
        arguments: all,
        missing: "/bin/sh does not exist on this engine's machine".to_owned(),
    })
}
