//! What the database says in the end, as `flux .. -o json` prints it: the same for every store.

use serde_json::Value;

/// Everything that the public commands tell.
#[derive(Clone, Debug, Default)]
pub struct Record {
    /// All runs, with their branches and what these committed.
    pub runs: Vec<RunEntry>,
    /// Who was declared dead, newest first.
    pub failovers: Vec<FailoverEntry>,
    /// Incarnations that are members now.
    pub members: Vec<String>,
}

/// A run.
#[derive(Clone, Debug, Default)]
pub struct RunEntry {
    /// Its id.
    pub id: String,
    /// Name of its workflow.
    pub workflow: String,
    /// Such as `completed`.
    pub state: String,
    /// Its branches.
    pub branches: Vec<BranchEntry>,
    /// Commit points of all of its branches, oldest first.
    pub commits: Vec<CommitEntry>,
    /// Takeovers of its branches, and recoveries by an operator, oldest first.
    pub takeovers: Vec<TakeoverEntry>,
}

/// A branch.
#[derive(Clone, Debug, Default)]
pub struct BranchEntry {
    /// Its id.
    pub id: String,
    /// Such as `finished`.
    pub state: String,
    /// The incarnation that owns it.
    pub owner: Option<String>,
    /// Its epoch.
    pub epoch: u64,
    /// Its last commit point.
    pub commit_no: u64,
}

/// A commit point.
#[derive(Clone, Debug, Default)]
pub struct CommitEntry {
    /// Of this branch.
    pub branch: String,
    /// Its number.
    pub number: u64,
    /// Epoch of the owner who reached it.
    pub epoch: u64,
    /// What had happened since the one before: type and node.
    pub events: Vec<(String, String)>,
}

/// A change of ownership that no owner made.
#[derive(Clone, Debug, Default)]
pub struct TakeoverEntry {
    /// Of this branch.
    pub branch: String,
    /// The epoch it began.
    pub epoch: u64,
    /// The commit point the branch goes on from.
    pub commit_no: u64,
    /// Owners lost since that commit point.
    pub lost: u64,
    /// It failed instead of becoming ready.
    pub poisoned: bool,
    /// An operator sent it back.
    pub recovered: bool,
}

/// A conviction.
#[derive(Clone, Debug, Default)]
pub struct FailoverEntry {
    /// Who was declared dead.
    pub incarnation: String,
    /// Its name.
    pub engine: String,
    /// By whom.
    pub by: String,
}

impl RunEntry {
    /// Of `flux show` and `flux history`.
    pub fn parse(show: &Value, history: &Value) -> RunEntry {
        let mut run = RunEntry {
            id: text(&show["id"]),
            workflow: text(&show["name"]),
            state: text(&show["state"]),
            branches: list(&show["branches"], branch),
            ..RunEntry::default()
        };
        for entry in history["history"].as_array().into_iter().flatten() {
            let first = &entry["events"][0];
            match first["type"].as_str() {
                Some("takeover" | "recovered") => run.takeovers.push(takeover(entry, first)),
                _ => run.commits.push(commit(entry)),
            }
        }
        run
    }

    /// Whether nothing more will happen by itself.
    pub fn is_over(&self) -> bool {
        ["completed", "faulted", "cancelled"].contains(&self.state.as_str())
    }

    /// The commit points of one branch, in the order of their numbers.
    pub fn commits_of(&self, branch: &str) -> Vec<&CommitEntry> {
        let mut commits: Vec<_> = self.commits.iter().filter(|c| c.branch == branch).collect();
        commits.sort_by_key(|commit| commit.number);
        commits
    }
}

impl Record {
    /// The run with all its branches.
    pub fn run(&self, id: &str) -> Option<&RunEntry> {
        self.runs.iter().find(|run| run.id == id)
    }
}

impl FailoverEntry {
    /// One of `flux cluster failovers`.
    pub fn parse(value: &Value) -> FailoverEntry {
        FailoverEntry {
            incarnation: text(&value["incarnation"]),
            engine: text(&value["engine"]),
            by: text(&value["by"]),
        }
    }
}

fn branch(value: &Value) -> BranchEntry {
    BranchEntry {
        id: text(&value["id"]),
        state: text(&value["state"]),
        owner: value["incarnation"].as_str().map(str::to_owned),
        epoch: number(&value["epoch"]),
        commit_no: number(&value["commit_no"]),
    }
}

fn commit(entry: &Value) -> CommitEntry {
    CommitEntry {
        branch: text(&entry["branch"]),
        number: number(&entry["commit_no"]),
        epoch: number(&entry["epoch"]),
        events: list(&entry["events"], |event| {
            (text(&event["type"]), text(&event["node"]))
        }),
    }
}

fn takeover(entry: &Value, first: &Value) -> TakeoverEntry {
    TakeoverEntry {
        branch: text(&entry["branch"]),
        epoch: number(&entry["epoch"]),
        commit_no: number(&entry["commit_no"]),
        lost: first["lost"].as_u64().unwrap_or_default(),
        poisoned: first["poisoned"] == true,
        recovered: first["type"] == "recovered",
    }
}

fn list<T>(values: &Value, parse: impl Fn(&Value) -> T) -> Vec<T> {
    values.as_array().into_iter().flatten().map(parse).collect()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn number(value: &Value) -> u64 {
    value
        .as_u64()
        .unwrap_or_else(|| panic!("{value} is not a number of a history"))
}
