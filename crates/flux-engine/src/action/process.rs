//! `process`: a program without a shell; its arguments arrive as they are.

use super::child::Command;
use super::with::{Text, With};
use flux_core::chart::Fault;

/// `command: [program, argument...]`.
pub(super) fn command(with: &With) -> Result<Command, Fault> {
    let example = "[/usr/bin/rsync, -a, source, target]";
    let command: Vec<Text> = with.required("command", example)?;
    let mut words = command.into_iter().map(|text| text.0);
    let program = words
        .next()
        .filter(|program| !program.is_empty())
        .ok_or_else(|| {
            with.fault(&format!(
                "`command` names no program; write for example `command: {example}`"
            ))
        })?;
    Ok(Command {
        name: format!("`{program}`"),
        missing: format!(
            "`{program}` was not found on this engine's machine; install it there, or write its \
             full path"
        ),
        program,
        arguments: words.collect(),
    })
}
