//! A client example in a place of its own.

use crate::home::root;
use flux_testkit::{Flux, FluxBuilder, PATIENCE};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;

/// Longest build of a client; on a cold cache the one in Go takes half a minute.
const BUILD: Duration = Duration::from_secs(240);
/// Where Debian puts packages for Go.
pub const GOCODE: &str = "/usr/share/gocode";
/// What an example consists of. What else lies there was left by somebody who tried it.
const FILES: [&str; 6] = [
    "call.py",
    "client.py",
    "cluster.py",
    "cluster.go",
    "generate.sh",
    "main.go",
];

/// A copy of an example, where its commands may leave what they generate.
pub struct Example {
    /// How its program is called.
    pub program: &'static str,
    /// The variables of all that it runs.
    pub environment: Vec<(&'static str, String)>,
    pub folder: PathBuf,
    page: String,
    _tree: TempDir,
}

impl Example {
    /// The one in this language; `None`, with a notice, when this shell command fails in it.
    #[expect(clippy::print_stderr, reason = "a skipped test says so")]
    pub fn new(language: &str, program: &'static str, needs: &str) -> Option<Example> {
        let tree = tempfile::tempdir().unwrap();
        let folder = tree.path().join("examples/clients").join(language);
        fs::create_dir_all(&folder).unwrap();
        let from = root().canonicalize().unwrap();
        for linked in ["proto", "examples/order-approval"] {
            symlink(from.join(linked), tree.path().join(linked)).unwrap();
        }
        let from = from.join("examples/clients").join(language);
        let page = fs::read_to_string(from.join("README.md")).unwrap();
        for file in FILES.iter().filter(|file| from.join(file).exists()) {
            fs::copy(from.join(file), folder.join(file)).unwrap();
        }
        let example = Example {
            environment: environment(tree.path(), &folder),
            _tree: tree,
            folder,
            page,
            program,
        };
        let mut present = example.shell(needs, "");
        if present.wait(PATIENCE).success() {
            return Some(example);
        }
        let missing = present.stderr().join("; ");
        eprintln!("SKIPPED: the client example in {language}: {missing} (hint: cargo xtask test)");
        None
    }

    /// Runs the command of its page in which this stands.
    pub fn build(&self, part: &str) {
        let mut commands = self.page.split("```").nth(1).unwrap().lines();
        let command = commands.find(|line| line.contains(part));
        let mut built = self.shell(command.unwrap(), "");
        let status = built.wait(BUILD);
        assert!(status.success(), "{command:?}: {:?}", built.stderr());
    }

    fn shell(&self, command: &str, engines: &str) -> Flux {
        let command = format!("cd '{}' && {command}", self.folder.display());
        let shell = FluxBuilder::new("/bin/sh").args(["-c", &command]);
        let environment = self.environment.iter();
        environment
            .fold(shell, |shell, (name, value)| shell.env(name, value))
            .env("FLUX_ENGINE", engines)
            .spawn()
    }

    /// Starts the program.
    pub fn start(&self, args: &str, engines: &str) -> Flux {
        self.shell(&format!("exec {} {args}", self.program), engines)
    }

    /// What the program printed, which must succeed.
    pub fn run(&self, args: &str, engines: &str) -> Vec<String> {
        let mut client = self.start(args, engines);
        let status = client.wait(PATIENCE);
        assert!(status.success(), "{args}: {:?}", client.stderr());
        client.stdout()
    }
}

/// Where the tools are, and where what they keep for the next time is. Go finds its packages in folders,
/// not in modules: so it needs no network.
fn environment(tree: &Path, folder: &Path) -> Vec<(&'static str, String)> {
    let packages = tree.join("gopath/src/example.com");
    fs::create_dir_all(&packages).unwrap();
    symlink(folder, packages.join("approval")).unwrap();
    let kept = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let python = kept.join("../python/bin");
    let path = std::env::var("PATH").unwrap_or_default();
    let gopath = tree.join("gopath");
    vec![
        ("PATH", format!("{}:{path}", python.display())),
        ("GO111MODULE", "off".to_owned()),
        ("GOPATH", format!("{}:{GOCODE}", gopath.display())),
        ("GOCACHE", kept.join("go-cache").display().to_string()),
    ]
}
