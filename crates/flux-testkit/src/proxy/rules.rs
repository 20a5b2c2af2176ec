//! What the test wants and what the proxy did: the only thing that both threads touch.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

/// Which way bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the client.
    ToServer,
    /// From the server.
    ToClient,
}

impl Direction {
    /// There and back.
    pub const BOTH: [Direction; 2] = [Direction::ToServer, Direction::ToClient];
}

/// Where the connection of a client that commits is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// The server never gets the COMMIT.
    BeforeForwarding,
    /// The server has committed and said so; the client does not hear it.
    BeforeAnswer,
    /// The server gets the COMMIT and loses its client; nobody waits for what it does.
    AfterForwarding,
}

/// What happens to COMMITs.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Commits {
    /// Nothing.
    #[default]
    Pass,
    /// The n-th from now is cut, counted from 1; the others pass.
    Nth(usize, Cut),
    /// Each is cut with this probability, from 0 to 1, the same ones for the same seed.
    Random {
        /// Of being cut.
        probability: f64,
        /// Decides which.
        seed: u64,
        /// Where.
        cut: Cut,
    },
}

/// What a proxy did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Connections that it carried.
    pub accepted: usize,
    /// Connections that it refused.
    pub refused: usize,
    /// COMMITs that clients sent.
    pub commits: usize,
    /// COMMITs that it cut.
    pub commits_cut: usize,
    /// Connections that it cut after a number of bytes.
    pub cut_after: usize,
}

/// What holds for every connection at this moment.
#[derive(Clone, Debug, Default)]
pub(super) struct Now {
    pub(super) stop: bool,
    pub(super) refuse: bool,
    /// How often all connections were closed.
    pub(super) closed: usize,
    to_server: Flow,
    to_client: Flow,
}

/// What holds for one direction.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Flow {
    pub(super) held: bool,
    pub(super) delay: Duration,
}

impl Now {
    pub(super) fn flow(&mut self, direction: Direction) -> &mut Flow {
        match direction {
            Direction::ToServer => &mut self.to_server,
            Direction::ToClient => &mut self.to_client,
        }
    }

    pub(super) fn flow_of(&self, direction: Direction) -> Flow {
        match direction {
            Direction::ToServer => self.to_server,
            Direction::ToClient => self.to_client,
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct Rules {
    now: watch::Sender<Now>,
    once: Mutex<Once>,
}

/// What changes with each message.
#[derive(Debug, Default)]
struct Once {
    commits: Commits,
    cut_after: Option<(Direction, usize)>,
    counts: Counts,
}

impl Rules {
    pub(super) fn change(&self, change: impl FnOnce(&mut Now)) {
        self.now.send_modify(change);
    }

    pub(super) fn watch(&self) -> watch::Receiver<Now> {
        self.now.subscribe()
    }

    pub(super) fn pass(&self) {
        let mut once = self.once();
        once.commits = Commits::Pass;
        once.cut_after = None;
        drop(once);
        self.change(|now| {
            *now = Now {
                closed: now.closed,
                ..Now::default()
            }
        });
    }

    pub(super) fn cut_after(&self, direction: Direction, bytes: usize) {
        self.once().cut_after = Some((direction, bytes));
    }

    pub(super) fn plan(&self, commits: Commits) {
        self.once().commits = commits;
    }

    pub(super) fn counts(&self) -> Counts {
        self.once().counts
    }

    pub(super) fn count(&self, count: impl FnOnce(&mut Counts)) {
        count(&mut self.once().counts);
    }

    /// How many of these bytes may be delivered; fewer than all of them: then cut.
    pub(super) fn allow(&self, direction: Direction, bytes: usize) -> usize {
        let mut once = self.once();
        match once.cut_after {
            Some((cut, left)) if cut == direction && left < bytes => {
                once.cut_after = None;
                once.counts.cut_after += 1;
                left
            }
            Some((cut, left)) if cut == direction => {
                once.cut_after = Some((cut, left - bytes));
                bytes
            }
            _ => bytes,
        }
    }

    /// What is to happen to the COMMIT that a client has just sent.
    pub(super) fn judge_commit(&self) -> Option<Cut> {
        let mut once = self.once();
        once.counts.commits += 1;
        let (next, verdict) = match once.commits {
            Commits::Pass => (Commits::Pass, None),
            Commits::Nth(0 | 1, cut) => (Commits::Pass, Some(cut)),
            Commits::Nth(n, cut) => (Commits::Nth(n - 1, cut), None),
            Commits::Random {
                probability,
                seed,
                cut,
            } => {
                let (seed, drawn) = draw(seed);
                let next = Commits::Random {
                    probability,
                    seed,
                    cut,
                };
                (next, (drawn < probability).then_some(cut))
            }
        };
        once.commits = next;
        verdict
    }

    /// A COMMIT that was to be cut failed by itself: the next one takes its place.
    pub(super) fn missed(&self, cut: Cut) {
        let mut once = self.once();
        if once.commits == Commits::Pass {
            once.commits = Commits::Nth(1, cut);
        }
    }

    fn once(&self) -> MutexGuard<'_, Once> {
        self.once.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The next state, and a number from 0 to 1 (SplitMix64, <https://prng.di.unimi.it/splitmix64.c>).
fn draw(seed: u64) -> (u64, f64) {
    let next = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = next;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    let high = u32::try_from((z ^ (z >> 31)) >> 32).expect("32 bits are left");
    (next, f64::from(high) / (f64::from(u32::MAX) + 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_cuts_the_same_commits_and_about_as_many_as_told() {
        let cuts = |seed| {
            let rules = Rules::default();
            rules.plan(Commits::Random {
                probability: 0.25,
                seed,
                cut: Cut::BeforeAnswer,
            });
            let verdicts: Vec<_> = (0..1000).map(|_| rules.judge_commit()).collect();
            verdicts
        };
        let count = cuts(7).iter().flatten().count();
        assert!((200..300).contains(&count), "{count}");
        assert_eq!(cuts(7), cuts(7));
        assert_ne!(cuts(7), cuts(8));
    }

    #[test]
    fn the_nth_commit_is_cut_once() {
        let rules = Rules::default();
        rules.plan(Commits::Nth(2, Cut::AfterForwarding));
        let verdicts: Vec<_> = (0..4).map(|_| rules.judge_commit()).collect();
        assert_eq!(verdicts, [None, Some(Cut::AfterForwarding), None, None]);
    }
}
