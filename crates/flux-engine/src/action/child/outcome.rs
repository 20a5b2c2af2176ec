//! The task's output, or fault, made of an ended process.

use super::options::{Command, Options, Return};
use crate::action::capture::Captured;
use flux_core::chart::{Fault, FaultKind};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

/// Judges the exit code, unless the task wants to do that itself.
pub(super) fn output(
    command: &Command,
    options: &Options,
    status: ExitStatus,
    stdout: &Captured,
    stderr: &Captured,
) -> Result<Value, Fault> {
    let code = status
        .code()
        .unwrap_or_else(|| 128 + status.signal().unwrap_or_default());
    let judged = matches!(options.returns, Return::Code | Return::All);
    let expected = status.signal().is_none() && options.exit_codes.contains(&code);
    if !judged && !expected {
        let how = match status.signal() {
            Some(signal) => format!("was ended by {}", signal_name(signal)),
            None => format!("ended with exit code {code}"),
        };
        let mut detail = format!("{} {how}", command.name);
        let reason = stderr.last_lines();
        if !reason.is_empty() {
            detail.push_str(": ");
            detail.push_str(&reason);
        }
        return Err(Fault::new(FaultKind::Runtime, detail));
    }
    Ok(match options.returns {
        Return::Stdout => json!(stdout.marked()),
        Return::Stderr => json!(stderr.marked()),
        Return::Code => json!(code),
        Return::None => Value::Null,
        Return::All => {
            let mut all = json!({"code": code, "stdout": stdout.text(), "stderr": stderr.text()});
            if stdout.truncated() || stderr.truncated() {
                all["truncated"] = Value::Bool(true);
            }
            all
        }
    })
}

fn signal_name(number: i32) -> String {
    let known = [
        (Signal::HUP, "SIGHUP"),
        (Signal::INT, "SIGINT"),
        (Signal::QUIT, "SIGQUIT"),
        (Signal::ILL, "SIGILL"),
        (Signal::ABORT, "SIGABRT"),
        (Signal::BUS, "SIGBUS"),
        (Signal::FPE, "SIGFPE"),
        (
            Signal::KILL,
            "SIGKILL (killed from outside, or out of memory)",
        ),
        (Signal::SEGV, "SIGSEGV"),
        (Signal::PIPE, "SIGPIPE"),
        (Signal::TERM, "SIGTERM"),
        (Signal::XCPU, "SIGXCPU (processor time limit)"),
        (Signal::XFSZ, "SIGXFSZ (file size limit)"),
    ];
    let name = known.iter().find(|(signal, _)| signal.as_raw() == number);
    name.map_or_else(
        || format!("signal {number}"),
        |(_, name)| (*name).to_owned(),
    )
}
