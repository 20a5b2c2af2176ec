//! Ways to break a good history; `pick` chooses where, if there are several places.

use super::good::{SECOND, WINDOW};
use crate::history::{Entry, Evidence, FailoverEntry, Nanos, RunEntry, TakeoverEntry, What};
use crate::witness::Mark;

/// One way.
pub struct Broken {
    pub name: &'static str,
    /// The property that must notice.
    pub rule: &'static str,
    /// Part of what it must say.
    pub says: &'static str,
    pub how: fn(&mut Evidence, usize),
}

impl Broken {
    pub fn apply(&self, evidence: &mut Evidence) {
        (self.how)(evidence, 0);
    }
}

pub fn by_name(name: &str) -> &'static Broken {
    let broken = BREAKS.iter().find(|broken| broken.name == name);
    broken.unwrap_or_else(|| panic!("no break is called `{name}`"))
}

const fn way(
    rule: &'static str,
    name: &'static str,
    says: &'static str,
    how: fn(&mut Evidence, usize),
) -> Broken {
    Broken {
        name,
        rule,
        says,
        how,
    }
}

pub const BREAKS: &[Broken] = &[
    way(
        "S1",
        "the owner is swapped",
        "several incarnations held it",
        |e, pick| {
            let entry = choose(&mut e.trail, pick, |entry| {
                matches!(entry.what, What::Committed { .. })
            });
            entry.engine = if entry.engine == "e1" { "e2" } else { "e1" }.to_owned();
        },
    ),
    way(
        "S1",
        "an epoch goes back",
        "was reached after commit point",
        |e, pick| {
            let run = run(e, pick);
            let last = run.commits.len() - 1;
            run.commits[last].epoch = 0;
        },
    ),
    way(
        "S1",
        "a claim is missing",
        "nobody had claimed it",
        |e, _| {
            e.trail.retain(|entry| {
                !matches!(&entry.what, What::Claimed { branch, .. } | What::Committed { branch, .. }
                if branch.run == "killed" && branch.epoch == 3)
            });
        },
    ),
    way(
        "S2",
        "a commit is dropped",
        "its commit points are",
        |e, pick| {
            let run = run(e, pick);
            run.commits.remove(pick % run.commits.len());
        },
    ),
    way(
        "S2",
        "a commit number is repeated",
        "its commit points are",
        |e, pick| {
            let run = run(e, pick);
            let again = run.commits[pick % run.commits.len()].clone();
            run.commits.push(again);
        },
    ),
    way(
        "S2",
        "a commit is acknowledged twice",
        "was acknowledged to e2 and to",
        |e, pick| {
            let is_commit = |entry: &Entry| {
                entry.engine == "e2" && matches!(entry.what, What::Committed { .. })
            };
            let again = choose(&mut e.trail, pick, is_commit).clone();
            e.trail.push(again);
        },
    ),
    way(
        "S2",
        "an acknowledged commit is lost",
        "and the database has it of epoch None",
        |e, pick| {
            let run = run(e, pick);
            run.commits.pop();
            run.branches[0].commit_no -= 1;
        },
    ),
    way(
        "S3",
        "a run is lost",
        "it was acknowledged, and is not there",
        |e, pick| {
            let at = pick % e.record.runs.len();
            e.record.runs.remove(at);
        },
    ),
    way(
        "S3",
        "a run is lost before it is claimed",
        "it was acknowledged, and is not there",
        |e, pick| {
            let at = pick % e.record.runs.len();
            let lost = e.record.runs.remove(at).id;
            e.trail.retain(|entry| {
                !matches!(&entry.what, What::Claimed { branch, .. } | What::Committed { branch, .. }
                if branch.run == lost)
            });
        },
    ),
    way(
        "S3",
        "a run has nothing left to go on with",
        "none of its branches goes on",
        |e, pick| {
            run(e, pick).state = "running".to_owned();
        },
    ),
    way(
        "S3",
        "an owner has left",
        "nobody will take it over",
        |e, pick| {
            let branch = &mut run(e, pick).branches[0];
            (branch.state, branch.owner) = ("running".to_owned(), Some("e2".to_owned()));
        },
    ),
    way(
        "S4",
        "a conviction is early",
        "after its last heartbeat; its window is",
        |e, pick| {
            let last = last_beat(e);
            let early = (pick as Nanos % WINDOW).min(WINDOW - SECOND / 10);
            let entry = convicted(e);
            entry.at = last + early;
        },
    ),
    way(
        "S4",
        "a conviction after half a window",
        "of silence; its window is",
        |e, _| {
            if let What::Convicted { silent, .. } = &mut convicted(e).what {
                *silent = WINDOW / 2;
            }
        },
    ),
    way("S5", "two actions overlap", "was dead", |e, _| {
        let again = e
            .marks
            .iter()
            .find(|mark| mark.epoch == 3)
            .map_or(0, |mark| mark.at);
        dying(e).at = again + SECOND / 20;
    }),
    way(
        "S4",
        "a stranger convicts",
        "which had never joined",
        |e, _| {
            e.record.failovers[0].by = "stranger".to_owned();
        },
    ),
    way(
        "S5",
        "a replaced owner acts",
        "began after the action",
        |e, _| {
            let mut stale = dying(e).clone();
            stale.sign = crate::witness::Sign::Begin;
            let at = e
                .marks
                .iter()
                .rposition(|mark| mark.epoch == 3)
                .unwrap_or_default();
            stale.at = e.marks[at].at + 1;
            e.marks.insert(at + 1, stale);
        },
    ),
    way("S6", "a step never began", "and never began", |e, pick| {
        let branch = choose(&mut e.marks, pick, |_| true).branch().to_owned();
        let node = "/do/0/s0";
        e.marks
            .retain(|mark| mark.branch() != branch || mark.node != node);
    }),
    way("S6", "two steps share a key", "is used by", |e, pick| {
        let mut mark = choose(&mut e.marks, pick, Mark::begins).clone();
        mark.node.push('x');
        e.marks.push(mark);
    }),
    way("S6", "a token does not grow", "its token was", |e, pick| {
        let mark = choose(&mut e.marks, pick, Mark::begins).clone();
        e.marks.push(mark);
    }),
    way(
        "S7",
        "a claim goes on from elsewhere",
        "went on from commit point",
        |e, pick| {
            let entry = choose(&mut e.trail, pick, |entry| {
                matches!(entry.what, What::Claimed { .. })
            });
            if let What::Claimed { branch, .. } = &mut entry.what {
                branch.commit_no += 1;
            }
        },
    ),
    way(
        "S7",
        "a finished action begins again",
        "its end was behind commit point",
        |e, _| {
            let first = e
                .marks
                .iter()
                .find(|mark| mark.branch() == "b-r0" && mark.begins())
                .cloned();
            let mut again = first.expect("r0 has begun");
            again.epoch = 2;
            e.marks.push(again);
        },
    ),
    way(
        "S8",
        "what waits is taken over",
        "had let it go to `wait`",
        |e, _| {
            let takeover = TakeoverEntry {
                branch: "b-r0".to_owned(),
                epoch: 2,
                commit_no: 1,
                lost: 1,
                ..TakeoverEntry::default()
            };
            run_named(e, "r0").takeovers.push(takeover);
        },
    ),
    way("S8", "what waits is owned", "and owned by", |e, pick| {
        let branch = &mut run(e, pick).branches[0];
        (branch.state, branch.owner) = ("waiting".to_owned(), Some("e2".to_owned()));
    }),
    way(
        "S9",
        "a branch arrives twice",
        "it arrived at its join twice",
        |e, pick| {
            let mut again = choose(&mut e.trail, pick, ends).clone();
            if let What::Committed { branch, .. } = &mut again.what {
                branch.commit_no += 1;
            }
            e.trail.push(again);
        },
    ),
    way("S9", "a wait goes on twice", "it went on twice", |e, _| {
        let after = |entry: &Entry| matches!(&entry.what, What::Committed { branch, .. } if branch.run == "r0" && branch.commit_no == 2);
        let again = choose(&mut e.trail, 0, after).clone();
        e.trail.push(again);
    }),
    way(
        "S10",
        "a claim after the end",
        "went on with it after it had ended",
        |e, pick| {
            let mut end = choose(&mut e.trail, pick, ends).clone();
            if let What::Committed { branch, .. } = &end.what {
                let mut branch = branch.clone();
                branch.epoch += 1;
                end.what = What::Claimed {
                    branch,
                    asked: end.at,
                    lost: 0,
                };
            }
            e.trail.push(end);
        },
    ),
    way(
        "S10",
        "an action after the end",
        "after its end",
        |e, pick| {
            let over = e.read_at;
            choose(&mut e.marks, pick, Mark::begins).at = over;
        },
    ),
    way(
        "S10",
        "a run is over and a branch is not",
        "and its run is completed",
        |e, pick| {
            run(e, pick).branches[0].state = "ready".to_owned();
        },
    ),
    way(
        "S11",
        "one member too many",
        "joined as member 2, and allows 1",
        |e, _| {
            for entry in &mut e.trail {
                if let What::Joined {
                    max_cluster_size, ..
                } = &mut entry.what
                {
                    *max_cluster_size = 1;
                }
            }
        },
    ),
    way("S12", "the dead beat", "had declared it dead", |e, pick| {
        let sent = convicted(e).at + 1 + pick as Nanos % SECOND;
        let beat =
            |entry: &Entry| entry.engine == "e1" && matches!(entry.what, What::Heartbeat { .. });
        let mut beat = choose(&mut e.trail, 0, beat).clone();
        (beat.at, beat.what) = (sent + 1, What::Heartbeat { sent });
        e.trail.push(beat);
    }),
    way("S12", "the dead claim", "the claim of branch", |e, _| {
        let dead = convicted(e).at;
        let claim = choose(&mut e.trail, 0, |entry| {
            entry.engine == "e1" && matches!(entry.what, What::Claimed { .. })
        });
        if let What::Claimed { asked, .. } = &mut claim.what {
            *asked = dead + 1;
        }
    }),
    way(
        "L1",
        "the dead are found late",
        "silent and declared dead",
        |e, pick| {
            convicted(e).at += (5 + pick as Nanos % 10) * SECOND;
        },
    ),
    way(
        "L1",
        "the dead are never found",
        "declared dead never",
        |e, _| {
            e.trail
                .retain(|entry| !matches!(entry.what, What::Convicted { .. }));
            e.record.failovers.clear();
        },
    ),
    way(
        "L2",
        "what was freed lies about",
        "it was ready and not claimed within",
        |e, _| {
            delay_claims(e, "killed", 3);
        },
    ),
    way(
        "L3",
        "an action outlives its owner's trust",
        "had lost the right to it",
        |e, _| {
            dying(e).at = last_beat(e) + WINDOW - SECOND / 5;
        },
    ),
    way(
        "L4",
        "a run never ends",
        "it is still waiting",
        |e, pick| {
            let run = run(e, pick);
            run.state = "waiting".to_owned();
            run.branches[0].state = "waiting".to_owned();
        },
    ),
    way(
        "L4",
        "a run ends long after the last fault",
        "after the last fault",
        |e, pick| {
            let late = e.read_at + 181 * SECOND;
            choose(&mut e.trail, pick, ends).at = late;
        },
    ),
    way(
        "L5",
        "what is ready lies about",
        "it was ready and not claimed within",
        |e, pick| {
            let run = run(e, pick).id.clone();
            delay_claims(e, &run, 0);
        },
    ),
    way(
        "L6",
        "a drained engine is taken over from",
        "had to take over from it",
        |e, _| {
            e.record.failovers.push(FailoverEntry {
                incarnation: "e2".to_owned(),
                by: "e1".to_owned(),
                ..FailoverEntry::default()
            });
        },
    ),
    way(
        "L7",
        "a poisoned branch goes on",
        "it lost its engine 6 times",
        |e, _| {
            let run = run_named(e, "killed");
            let first = run.takeovers[0].clone();
            for n in 1..6 {
                let epoch = first.epoch + n;
                run.takeovers.push(TakeoverEntry {
                    epoch,
                    ..first.clone()
                });
            }
        },
    ),
];

fn choose<T>(all: &mut [T], pick: usize, fits: impl Fn(&T) -> bool) -> &mut T {
    let mut fitting: Vec<&mut T> = all.iter_mut().filter(|one| fits(one)).collect();
    let at = pick % fitting.len();
    fitting.swap_remove(at)
}

fn run(evidence: &mut Evidence, pick: usize) -> &mut RunEntry {
    let at = pick % evidence.record.runs.len();
    &mut evidence.record.runs[at]
}

fn run_named<'e>(evidence: &'e mut Evidence, id: &str) -> &'e mut RunEntry {
    choose(&mut evidence.record.runs, 0, |run| run.id == id)
}

fn convicted(evidence: &mut Evidence) -> &mut Entry {
    choose(&mut evidence.trail, 0, |entry| {
        matches!(entry.what, What::Convicted { .. })
    })
}

/// The last sign of the action that its engine's death interrupted.
fn dying(evidence: &mut Evidence) -> &mut Mark {
    choose(&mut evidence.marks, 0, |mark| {
        mark.sign == crate::witness::Sign::Alive
    })
}

fn last_beat(evidence: &Evidence) -> Nanos {
    let beats = evidence.trail.iter().filter(|entry| entry.engine == "e1");
    let sent = beats.filter_map(|entry| match entry.what {
        What::Heartbeat { sent } => Some(sent),
        _ => None,
    });
    sent.max().unwrap_or_default()
}

fn ends(entry: &Entry) -> bool {
    matches!(&entry.what, What::Committed { then, .. } if then == "end")
}

fn delay_claims(evidence: &mut Evidence, run: &str, from_epoch: u64) {
    for entry in &mut evidence.trail {
        let late = matches!(&entry.what, What::Claimed { branch, .. }
            if branch.run == run && branch.epoch >= from_epoch);
        if late {
            entry.at += 20 * SECOND;
        }
    }
}
