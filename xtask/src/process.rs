//! Running one external command: in the workspace's root, without stdin, its failure a sentence.

use std::ffi::OsString;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};

use crate::Outcome;

/// The `cargo` that started us, so that one toolchain is used throughout.
pub fn cargo(root: &Path) -> Command {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let mut command = Command::new(program);
    command.current_dir(root).stdin(Stdio::null());
    command
}

/// Runs `command`, its output going straight to ours.
///
/// # Errors
/// A sentence that names the command, when it cannot be started or ends with another status than 0.
pub fn run(command: &mut Command) -> Outcome {
    println!("$ {}", shown(command));
    let status = command
        .status()
        .map_err(|e| format!("cannot start `{}`: {e}", shown(command)))?;
    judge(command, status)
}

/// Like [`run`], and hands each line of the command's stdout to `see` after printing it.
///
/// # Errors
/// As [`run`].
pub fn run_watched(command: &mut Command, mut see: impl FnMut(&str)) -> Outcome {
    println!("$ {}", shown(command));
    let mut child = command
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|e| format!("cannot start `{}`: {e}", shown(command)))?;
    let stdout = child.stdout.take().expect("stdout was piped just above");
    for line in BufReader::new(stdout).split(b'\n') {
        let line = line.map_err(|e| format!("lost the output of `{}`: {e}", shown(command)))?;
        // Tests may print any bytes; a broken character must not end the run.
        let line = String::from_utf8_lossy(&line);
        println!("{line}");
        see(&line);
    }
    let status = child
        .wait()
        .map_err(|e| format!("cannot wait for `{}`: {e}", shown(command)))?;
    judge(command, status)
}

/// Whether `program args..` can be started and ends with status 0; its output is dropped.
pub fn works(program: impl Into<OsString>, args: &[&str]) -> bool {
    Command::new(program.into())
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

fn judge(command: &Command, status: ExitStatus) -> Outcome {
    if status.success() {
        return Ok(());
    }
    Err(format!("`{}` failed ({status})", shown(command)))
}

fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let name = program.file_name().unwrap_or(program.as_os_str());
    let mut words = vec![name.to_string_lossy().into_owned()];
    words.extend(command.get_args().map(|a| a.to_string_lossy().into_owned()));
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failing_command_is_named_in_the_sentence() {
        let sentence = run(Command::new("sh").args(["-c", "exit 3"])).expect_err("it must fail");
        assert!(sentence.contains("sh -c exit 3"), "{sentence}");
        assert!(sentence.contains('3'), "{sentence}");
    }

    #[test]
    fn a_watched_command_shows_each_line_and_keeps_its_status() {
        let mut seen = Vec::new();
        let outcome = run_watched(
            Command::new("sh").args(["-c", "printf 'a\\n\\377\\nb'; exit 1"]),
            |line| seen.push(line.to_owned()),
        );
        assert_eq!(seen, ["a", "\u{fffd}", "b"]);
        assert!(outcome.is_err());
    }

    #[test]
    fn a_program_that_is_not_there_does_not_work() {
        assert!(works("sh", &["-c", "exit 0"]));
        assert!(!works("sh", &["-c", "exit 1"]));
        assert!(!works("no-such-program-anywhere", &[]));
    }
}
