//! Which crate may know which: the absences that `ARCHITECTURE.md` promises.
//!
//! Read from the `[dependencies]` and `[build-dependencies]` of each `crates/*/Cargo.toml`;
//! development dependencies are free, because tests may join what production keeps apart.

use super::{Problem, Tree};

/// What one crate may know of ours, and what it must never know of others'.
struct Allowed {
    name: &'static str,
    /// Crates of this workspace it may depend on.
    ours: &'static [&'static str],
    /// Crates of others it must not depend on; a trailing `*` stands for any ending.
    never: &'static [&'static str],
}

/// A crate that is not in this table fails the check: say here what it may know.
const TABLE: &[Allowed] = &[
    Allowed {
        name: "flux-core",
        ours: &[],
        never: &[
            "tokio*", "tonic*", "prost*", "reqwest", "hyper*", "axum", "clap*", "rustix",
        ],
    },
    Allowed {
        name: "flux-lang",
        ours: &["flux-core"],
        never: &["tokio*", "tonic*", "reqwest", "clap*"],
    },
    Allowed {
        name: "flux-store",
        ours: &["flux-core"],
        never: &["tonic*", "prost*", "reqwest", "clap*"],
    },
    Allowed {
        name: "flux-failover",
        ours: &["flux-core"],
        never: &["tonic*", "prost*", "reqwest", "clap*"],
    },
    Allowed {
        name: "flux-engine",
        ours: &["flux-core", "flux-failover"],
        never: &["clap*"],
    },
    Allowed {
        name: "flux-client",
        ours: &["flux-proto"],
        never: &["reqwest", "clap*"],
    },
    Allowed {
        name: "flux-peer",
        ours: &["flux-core", "flux-proto"],
        never: &["reqwest", "clap*"],
    },
    Allowed {
        name: "flux-proto",
        ours: &[],
        never: &["tokio", "reqwest", "clap*"],
    },
    Allowed {
        name: "flux-server",
        ours: &["flux-core", "flux-proto", "flux-engine"],
        never: &["clap*", "reqwest"],
    },
    Allowed {
        name: "flux-testkit",
        ours: &[
            "flux-core",
            "flux-lang",
            "flux-store",
            "flux-failover",
            "flux-engine",
            "flux-testkit-postgres",
        ],
        never: &[],
    },
    Allowed {
        name: "flux-testkit-postgres",
        ours: &[],
        never: &["*"],
    },
    Allowed {
        name: "flux",
        ours: &[
            "flux-core",
            "flux-lang",
            "flux-store",
            "flux-failover",
            "flux-engine",
            "flux-server",
            "flux-client",
            "flux-peer",
        ],
        never: &[],
    },
];

/// Only this crate knows SQL ..
const STORE: &str = "flux-store";
/// .. and so only it depends on these.
const SQL: &[&str] = &[
    "diesel*",
    "libsqlite3-sys",
    "rusqlite",
    "sqlx*",
    "tokio-postgres*",
];

/// Dependencies that the table does not allow, and crates that are not in the table.
pub fn check(tree: &Tree) -> Vec<Problem> {
    let crates = tree.crates();
    let mut problems = renamed_in_the_workspace(tree);
    for name in &crates {
        let path = format!("crates/{name}/Cargo.toml");
        let messages = match (tree.get(&path), TABLE.iter().find(|row| row.name == *name)) {
            (None, _) => vec!["is missing".to_owned()],
            (_, None) => vec![format!("say in {} what {name} may depend on", file!())],
            (Some(manifest), Some(row)) => judge(row, &crates, &normal_dependencies(manifest)),
        };
        problems.extend(messages.into_iter().map(|message| Problem {
            path: path.clone(),
            line: None,
            message,
        }));
    }
    problems
}

/// A renamed crate would pass under a false name.
fn renamed_in_the_workspace(tree: &Tree) -> Vec<Problem> {
    let manifest = tree.get("Cargo.toml").unwrap_or_default().lines();
    let renames = manifest
        .enumerate()
        .filter(|(_, line)| renamed(line).is_some());
    let problem = |(index, _)| Problem {
        path: "Cargo.toml".to_owned(),
        line: Some(index + 1),
        message: "renames a dependency, which hides it from the rules between crates".to_owned(),
    };
    renames.map(problem).collect()
}

fn judge(row: &Allowed, crates: &[&str], dependencies: &[String]) -> Vec<String> {
    let mut messages = Vec::new();
    for dependency in dependencies {
        let name = row.name;
        let ours = crates.contains(&dependency.as_str());
        if ours && !row.ours.contains(&dependency.as_str()) {
            messages.push(format!("{name} must not know {dependency}"));
        }
        if matches_any(row.never, dependency) {
            messages.push(format!("{name} must not depend on {dependency}"));
        }
        if name != STORE && matches_any(SQL, dependency) {
            messages.push(format!("only {STORE} knows SQL, so not {dependency} here"));
        }
    }
    messages
}

fn matches_any(patterns: &[&str], name: &str) -> bool {
    patterns
        .iter()
        .any(|pattern| match pattern.strip_suffix('*') {
            Some(prefix) => name.starts_with(prefix),
            None => name == *pattern,
        })
}

/// The names of the normal and build dependencies in a manifest, target-specific ones included.
fn normal_dependencies(manifest: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut section = Section::Other;
    let mut open_brackets = 0_usize;
    for line in manifest
        .lines()
        .map(|line| line.split('#').next().unwrap_or("").trim())
    {
        let continues = open_brackets > 0;
        if !continues && line.starts_with('[') {
            section = Section::of(line);
            if let Section::One(name) = &section {
                names.push(name.clone());
            }
            continue;
        }
        let opened = line.matches(['[', '{']).count();
        open_brackets = (open_brackets + opened).saturating_sub(line.matches([']', '}']).count());
        let renamed = renamed(line).map(str::to_owned);
        match section {
            Section::Other => {}
            Section::One(_) => names.extend(renamed),
            Section::Table if continues => names.extend(renamed),
            Section::Table => {
                names.extend(renamed);
                names.extend(key(line).map(str::to_owned));
            }
        }
    }
    names
}

enum Section {
    /// `[dependencies]`: one dependency per key.
    Table,
    /// `[dependencies.NAME]`: the keys describe that one.
    One(String),
    /// Anything else.
    Other,
}

impl Section {
    fn of(header: &str) -> Self {
        let header = header.trim_matches(['[', ']']);
        for table in ["dependencies", "build-dependencies"] {
            let is_table = |h: &str| {
                h == table
                    || h.ends_with(&format!("'.{table}"))
                    || h.ends_with(&format!("\".{table}"))
            };
            if is_table(header) {
                return Self::Table;
            }
            if let Some((head, name)) = header.rsplit_once('.')
                && is_table(head)
            {
                return Self::One(name.trim_matches('"').to_owned());
            }
        }
        Self::Other
    }
}

fn key(line: &str) -> Option<&str> {
    let (key, _) = line.split_once('=')?;
    let name = key.trim().split('.').next()?.trim_matches('"');
    (!name.is_empty()).then_some(name)
}

/// The real name in `package = "NAME"`, within a table or on its own line.
fn renamed(line: &str) -> Option<&str> {
    let (before, rest) = line.split_once("package")?;
    if before.ends_with(|c: char| c.is_alphanumeric() || "-_.[\"".contains(c)) {
        return None;
    }
    let value = rest.trim_start().strip_prefix('=')?.trim_start();
    value.strip_prefix('"')?.split('"').next()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(name: &str, manifest: &str) -> Vec<String> {
        let path = format!("crates/{name}/Cargo.toml");
        let mut files: Vec<(&str, &str)> = vec![
            ("crates/flux-core/Cargo.toml", ""),
            ("crates/flux-store/Cargo.toml", ""),
            ("crates/flux-testkit/Cargo.toml", ""),
        ];
        files.retain(|(known, _)| *known != path);
        files.push((&path, manifest));
        check(&Tree::of(&files))
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn the_pure_core_knows_no_runtime_and_none_of_ours() {
        for forbidden in [
            "tokio",
            "tokio-util",
            "diesel",
            "tonic",
            "prost",
            "reqwest",
            "clap",
            "flux-store",
        ] {
            let manifest =
                format!("[dependencies]\nserde.workspace = true\n{forbidden}.workspace = true\n");
            let found = messages("flux-core", &manifest);
            assert_eq!(found.len(), 1, "{forbidden}: {found:?}");
            assert!(found[0].contains(forbidden), "{found:?}");
        }
        assert_eq!(
            messages("flux-core", "[dependencies]\nserde = \"1\"\n").len(),
            0
        );
    }

    #[test]
    fn only_the_store_knows_sql() {
        for sql in [
            "diesel",
            "diesel-async",
            "diesel_migrations",
            "libsqlite3-sys",
        ] {
            let manifest = format!("[dependencies]\n{sql} = \"1\"\n");
            for name in [
                "flux-lang",
                "flux-failover",
                "flux-engine",
                "flux",
                "flux-testkit",
            ] {
                assert_eq!(messages(name, &manifest).len(), 1, "{name} {sql}");
            }
            assert_eq!(messages("flux-store", &manifest).len(), 0, "{sql}");
        }
    }

    #[test]
    fn the_engine_reaches_the_store_only_through_ports_and_only_in_tests() {
        let store = "flux-store.workspace = true\n";
        assert_eq!(
            messages("flux-engine", &format!("[dependencies]\n{store}")).len(),
            1
        );
        assert_eq!(
            messages("flux-engine", &format!("[dev-dependencies]\n{store}")).len(),
            0
        );
    }

    #[test]
    fn the_test_kit_is_never_a_normal_dependency() {
        for name in [
            "flux",
            "flux-engine",
            "flux-store",
            "flux-lang",
            "flux-failover",
            "flux-core",
        ] {
            let manifest = "[dependencies]\nflux-testkit.workspace = true\n";
            assert_eq!(messages(name, manifest).len(), 1, "{name}");
        }
    }

    #[test]
    fn a_crate_that_is_not_in_the_table_is_a_problem() {
        assert!(messages("flux-new", "")[0].contains("what flux-new may depend on"));
    }

    #[test]
    fn dependencies_are_found_in_every_form() {
        let manifest = r#"
[package]
name = "x"
[dependencies]
a = "1" # b = "2"
c.workspace = true
d = { version = "1", features = [
    "e=f",
] }
g = { package = "h", version = "1" }
[dependencies.i]
version = "1"
[target.'cfg(unix)'.dependencies]
j = "1"
[dev-dependencies]
k = "1"
[build-dependencies]
l = "1"
"#;
        let names = normal_dependencies(manifest);
        assert_eq!(names, ["a", "c", "d", "h", "g", "i", "j", "l"]);
    }

    #[test]
    fn renaming_in_the_workspace_is_a_problem() {
        let tree = Tree::of(&[(
            "Cargo.toml",
            "[workspace.dependencies]\nx = { package = \"diesel\" }\n",
        )]);
        assert_eq!(check(&tree).len(), 1);
        let tree = Tree::of(&[(
            "Cargo.toml",
            "[workspace.package]\n[profile.dev.package.\"*\"]\n",
        )]);
        assert_eq!(check(&tree).len(), 0);
    }
}
