//! `run: script`: code in a file of its own, run by the interpreter of its language.

use super::child::{Arguments, Command};
use super::with::With;
use flux_core::chart::{Fault, FaultKind};
use std::io::Write;
use tempfile::NamedTempFile;

/// A script ready to run.
pub(super) struct Script {
    /// Interpreter, file, arguments.
    pub command: Command,
    /// Readable by this user only; removed on drop.
    _file: NamedTempFile,
}

struct Language {
    names: &'static [&'static str],
    interpreter: &'static str,
    suffix: &'static str,
    install: &'static str,
}

const LANGUAGES: [Language; 4] = [
    Language {
        names: &["python", "python3"],
        interpreter: "python3",
        suffix: ".py",
        install: "Python 3",
    },
    // `.mjs` makes Node.js read an ES module, as the language's reference has it.
    Language {
        names: &["js", "javascript"],
        interpreter: "node",
        suffix: ".mjs",
        install: "Node.js",
    },
    Language {
        names: &["sh"],
        interpreter: "sh",
        suffix: ".sh",
        install: "a POSIX shell",
    },
    Language {
        names: &["bash"],
        interpreter: "bash",
        suffix: ".sh",
        install: "Bash",
    },
];

/// Writes the code to its file; the arguments follow the file's name on the command line.
pub(super) fn command(with: &With) -> Result<Script, Fault> {
    let name: String = with.required("language", "python")?;
    let code: String = with.required("code", "print(1)")?;
    let arguments: Arguments = with.optional("arguments", "[first, second]")?;
    let language = language(&name)?;
    let file = write(&code, language.suffix).map_err(|error| {
        Fault::new(
            FaultKind::Runtime,
            format!(
                "the script could not be written to {}: {error}; free space there or set TMPDIR",
                std::env::temp_dir().display()
            ),
        )
    })?;
    let mut all = vec![file.path().to_string_lossy().into_owned()];
    all.extend(arguments.0);
    let command = Command {
        name: format!("the {name} script"),
        program: language.interpreter.to_owned(),
        arguments: all,
        missing: format!(
            "a {name} script needs `{}`, which was not found on this engine's PATH; install {} there",
            language.interpreter, language.install
        ),
    };
    Ok(Script {
        command,
        _file: file,
    })
}

fn language(name: &str) -> Result<&'static Language, Fault> {
    LANGUAGES
        .iter()
        .find(|language| language.names.contains(&name))
        .ok_or_else(|| {
            let known: Vec<_> = LANGUAGES
                .iter()
                .flat_map(|language| language.names)
                .copied()
                .collect();
            Fault::new(
                FaultKind::Configuration,
                format!(
                    "script: `language: {name}` is not supported; one of {}",
                    known.join(", ")
                ),
            )
        })
}

fn write(code: &str, suffix: &str) -> std::io::Result<NamedTempFile> {
    let mut file = tempfile::Builder::new()
        .prefix("flux-")
        .suffix(suffix)
        .tempfile()?;
    file.write_all(code.as_bytes())?;
    file.flush()?;
    Ok(file)
}
