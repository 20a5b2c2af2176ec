//! A history that never happened, told as the real parts would: engine `e1` is killed in the middle
//! of an action and `e2` goes on; other runs wait, and are given back; at last `e2` drains.

use crate::history::{
    BranchEntry, CommitEntry, Deed, Did, Entry, Evidence, FailoverEntry, Held, Nanos, RunEntry,
    TakeoverEntry, What,
};
use crate::witness::{Mark, Sign};

pub const SECOND: Nanos = 1_000_000_000;
/// The failover time window of both engines.
pub const WINDOW: Nanos = 3 * SECOND;

/// What happens in it.
#[derive(Clone, Debug)]
pub struct Story {
    /// Runs besides the one whose engine is killed.
    pub runs: usize,
    /// Actions of each run.
    pub steps: usize,
    /// The action during which `e1` is killed.
    pub killed_at: usize,
}

impl Default for Story {
    fn default() -> Story {
        Story {
            runs: 2,
            steps: 3,
            killed_at: 1,
        }
    }
}

/// Writes it down.
struct Scribe {
    evidence: Evidence,
    now: Nanos,
}

impl Story {
    /// All the evidence of it.
    pub fn tell(&self) -> Evidence {
        let mut scribe = Scribe {
            evidence: Evidence::default(),
            now: 100 * SECOND,
        };
        scribe.join("e1", 1);
        scribe.join("e2", 2);
        let born = scribe.now;
        let killed = self.tell_killed(&mut scribe);
        for number in 0..self.runs {
            self.tell_interrupted(&mut scribe, &format!("r{number}"), number % 2 == 0);
        }
        scribe.now += 30 * SECOND;
        scribe.did(Did::Terminated(2));
        scribe.says("e2", What::Drains);
        scribe.says("e2", What::Leaves);
        scribe.did(Did::Ended(2));
        let over = scribe.now;
        scribe.beats("e1", born, killed);
        scribe.beats("e2", born, over);
        let mut evidence = scribe.evidence;
        evidence.read_at = over;
        evidence.trail.sort_by_key(|entry| entry.at);
        evidence
    }

    /// The run whose first engine dies; when it did.
    fn tell_killed(&self, scribe: &mut Scribe) -> Nanos {
        let mut held = scribe.submit("killed");
        scribe.claim("e1", &mut held, 0);
        for step in 0..self.killed_at {
            scribe.act(&held, step);
            scribe.commit("e1", &mut held, step, "run");
        }
        scribe.mark(&held, Sign::Begin, self.killed_at);
        scribe.now += SECOND / 10;
        scribe.mark(&held, Sign::Alive, self.killed_at);
        scribe.did(Did::Killed(1));
        let killed = scribe.now;
        scribe.now += WINDOW + SECOND / 4;
        scribe.take_over(&mut held);
        scribe.claim("e2", &mut held, 1);
        for step in self.killed_at..self.steps {
            scribe.act(&held, step);
            let then = if step + 1 == self.steps { "end" } else { "run" };
            scribe.commit("e2", &mut held, step, then);
        }
        scribe.end(&held);
        killed
    }

    /// A run that waits after its first step, or is given back.
    fn tell_interrupted(&self, scribe: &mut Scribe, name: &str, waits: bool) {
        let mut held = scribe.submit(name);
        scribe.claim("e2", &mut held, 0);
        for step in 0..self.steps {
            scribe.act(&held, step);
            let then = match step {
                _ if step + 1 == self.steps => "end",
                0 if waits => "wait",
                _ => "run",
            };
            scribe.commit("e2", &mut held, step, then);
            if step == 0 && self.steps > 1 {
                if !waits {
                    let (branch, to) = (held.clone(), "ready".to_owned());
                    scribe.says("e2", What::Released { branch, to });
                }
                scribe.claim("e2", &mut held, 0);
            }
        }
        scribe.end(&held);
    }
}

impl Scribe {
    fn says(&mut self, engine: &str, what: What) {
        self.now += SECOND / 1000;
        self.evidence.trail.push(Entry {
            process: if engine == "e1" { 1 } else { 2 },
            engine: engine.to_owned(),
            at: self.now,
            what,
        });
    }

    fn did(&mut self, did: Did) {
        self.now += SECOND / 1000;
        self.evidence.deeds.push(Deed { at: self.now, did });
    }

    fn join(&mut self, engine: &str, process: usize) {
        self.did(Did::Started(process));
        self.says(
            engine,
            What::Joined {
                window: WINDOW,
                max_cluster_size: 35,
                poison_limit: 5,
            },
        );
        self.says(engine, What::Serves { concurrency: 10 });
    }

    fn beats(&mut self, engine: &str, from: Nanos, to: Nanos) {
        let every = usize::try_from(SECOND * 19 / 20).expect("a second is small");
        for sent in (from..to).step_by(every) {
            self.now = sent;
            self.says(engine, What::Heartbeat { sent });
        }
    }

    fn submit(&mut self, run: &str) -> Held {
        self.did(Did::Submitted(run.to_owned()));
        let branch = format!("b-{run}");
        self.evidence.record.runs.push(RunEntry {
            id: run.to_owned(),
            workflow: "story".to_owned(),
            branches: vec![BranchEntry {
                id: branch.clone(),
                ..BranchEntry::default()
            }],
            ..RunEntry::default()
        });
        Held {
            run: run.to_owned(),
            branch,
            epoch: 0,
            commit_no: 0,
        }
    }

    fn run(&mut self) -> &mut RunEntry {
        self.evidence
            .record
            .runs
            .last_mut()
            .expect("a run was submitted")
    }

    fn claim(&mut self, engine: &str, held: &mut Held, lost: u64) {
        held.epoch += 1;
        let (branch, asked) = (held.clone(), self.now);
        self.says(
            engine,
            What::Claimed {
                branch,
                asked,
                lost,
            },
        );
    }

    fn mark(&mut self, held: &Held, sign: Sign, step: usize) {
        let node = format!("/do/{step}/s{step}");
        self.evidence.marks.push(Mark {
            sign,
            key: format!("{}/{step}{node}", held.branch),
            epoch: held.epoch,
            at: self.now,
            node,
        });
    }

    fn act(&mut self, held: &Held, step: usize) {
        self.mark(held, Sign::Begin, step);
        self.now += SECOND / 10;
        self.mark(held, Sign::End, step);
    }

    fn commit(&mut self, engine: &str, held: &mut Held, step: usize, then: &str) {
        held.commit_no += 1;
        let (branch, then) = (held.clone(), then.to_owned());
        self.says(engine, What::Committed { branch, then });
        let commit = CommitEntry {
            branch: held.branch.clone(),
            number: held.commit_no,
            epoch: held.epoch,
            events: vec![("completed".to_owned(), format!("/do/{step}/s{step}"))],
        };
        self.run().commits.push(commit);
    }

    fn take_over(&mut self, held: &mut Held) {
        let judged = self.now;
        let member = "e1".to_owned();
        self.says(
            "e2",
            What::Convicted {
                member: member.clone(),
                silent: WINDOW,
                judged,
            },
        );
        let branch = Held {
            epoch: 0,
            ..held.clone()
        };
        self.says("e2", What::Freed { member, branch });
        held.epoch += 1;
        let takeover = TakeoverEntry {
            branch: held.branch.clone(),
            epoch: held.epoch,
            commit_no: held.commit_no,
            lost: 1,
            ..TakeoverEntry::default()
        };
        self.run().takeovers.push(takeover);
        self.evidence.record.failovers.push(FailoverEntry {
            incarnation: "e1".to_owned(),
            by: "e2".to_owned(),
            ..FailoverEntry::default()
        });
    }

    fn end(&mut self, held: &Held) {
        let run = self.run();
        run.state = "completed".to_owned();
        run.branches[0] = BranchEntry {
            id: held.branch.clone(),
            state: "finished".to_owned(),
            owner: None,
            epoch: held.epoch,
            commit_no: held.commit_no,
        };
    }
}
