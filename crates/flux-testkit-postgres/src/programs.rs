//! PostgreSQL's programs on this machine, and the user that may run them.

use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// Whether a server can be started on this machine.
pub fn installed() -> bool {
    Programs::find().is_some()
}

/// The programs of one version.
#[derive(Clone, Debug)]
pub(crate) struct Programs {
    folder: PathBuf,
    /// Whose server it is: PostgreSQL refuses to run as root, so root steps down.
    owner: Option<(u32, u32)>,
}

impl Programs {
    /// The newest ones of Debian's folders, otherwise those in `PATH`.
    pub(crate) fn find() -> Option<Programs> {
        let folder = newest(Path::new("/usr/lib/postgresql")).or_else(in_path)?;
        let owner = match id(&["-u"])? {
            0 => Some((id(&["-u", "postgres"])?, id(&["-g", "postgres"])?)),
            _ => None,
        };
        Some(Programs { folder, owner })
    }

    /// One of them, to be run as the server's user and without the settings of our environment.
    pub(crate) fn command(&self, name: &str) -> Command {
        self.as_owner(self.folder.join(name))
    }

    /// Any program, in the same way.
    pub(crate) fn as_owner(&self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new(program.as_ref());
        // The server's user may not be allowed to enter the folder that we are in.
        command.current_dir("/").stdin(Stdio::null());
        command.env("LC_ALL", "C");
        without_settings(&mut command);
        if let Some((user, group)) = self.owner {
            command.uid(user).gid(group);
        }
        command
    }

    /// Gives a file or folder to the server's user.
    pub(crate) fn give(&self, path: &Path) -> std::io::Result<()> {
        match self.owner {
            Some((user, group)) => std::os::unix::fs::chown(path, Some(user), Some(group)),
            None => Ok(()),
        }
    }

    /// Their version, such as `15.20`.
    pub(crate) fn version(&self) -> Result<String, String> {
        let version = run(self.command("postgres").arg("--version"))?;
        let number = version.split_whitespace().nth(2).unwrap_or("unknown");
        Ok(number.to_owned())
    }
}

/// The `psql` that fits best, as ourselves: it needs no server on this machine.
pub(crate) fn psql() -> Command {
    let found = newest(Path::new("/usr/lib/postgresql")).map(|folder| folder.join("psql"));
    let mut command = Command::new(found.unwrap_or_else(|| "psql".into()));
    without_settings(command.stdin(Stdio::null()));
    command
}

/// Runs a command to its end; what it printed, or a sentence with what it complained about.
pub(crate) fn run(command: &mut Command) -> Result<String, String> {
    let output = command.output();
    judge(command, output)
}

/// The same for one that reads this text.
pub(crate) fn run_with_input(command: &mut Command, input: &str) -> Result<String, String> {
    command.stdin(Stdio::piped());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let output = command.spawn().and_then(|mut child| {
        let stdin = child.stdin.take();
        // Beside the reading: the program may print before it has read everything, and may end
        // before, too.
        std::thread::scope(|scope| {
            scope.spawn(|| stdin.map(|mut stdin| stdin.write_all(input.as_bytes())));
            child.wait_with_output()
        })
    });
    judge(command, output)
}

fn judge(command: &Command, output: std::io::Result<Output>) -> Result<String, String> {
    let output = output.map_err(|error| format!("cannot start {command:?}: {error}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let complaint = String::from_utf8_lossy(&output.stderr);
    Err(format!(
        "{command:?} failed ({}): {}",
        output.status,
        complaint.trim()
    ))
}

fn without_settings(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("PG") {
            command.env_remove(name);
        }
    }
}

fn newest(versions: &Path) -> Option<PathBuf> {
    let folders = versions.read_dir().ok()?.flatten();
    let numbered = folders.filter_map(|folder| {
        let number: u32 = folder.file_name().to_str()?.parse().ok()?;
        let programs = folder.path().join("bin");
        programs
            .join("initdb")
            .exists()
            .then_some((number, programs))
    });
    numbered.max().map(|(_, programs)| programs)
}

fn in_path() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).find(|folder| folder.join("initdb").exists())
}

fn id(args: &[&str]) -> Option<u32> {
    run(Command::new("id").args(args)).ok()?.trim().parse().ok()
}
