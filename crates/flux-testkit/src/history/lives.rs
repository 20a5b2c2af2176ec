//! The life of each incarnation, put together from the trail and from what the test did to it.

use super::{Deed, Did, Entry, Nanos, What};

/// One incarnation from its joining to its end.
#[derive(Clone, Debug)]
pub(super) struct Life {
    pub engine: String,
    pub process: usize,
    pub joined: Nanos,
    pub window: Nanos,
    pub max_cluster_size: u64,
    pub poison_limit: u64,
    pub concurrency: u64,
    /// Its heartbeats: sent, answered.
    pub beats: Vec<(Nanos, Nanos)>,
    /// When it stopped to claim, or to be, of its own accord.
    pub resigned: Option<Nanos>,
    /// When it went to leave the table of members.
    pub left: Option<Nanos>,
    /// When its process ended.
    pub ended: Option<Nanos>,
    /// When it was frozen, and until when.
    pub frozen: Vec<(Nanos, Nanos)>,
    /// When the database was hindered, or its way to it, and until when.
    pub disturbed: Vec<(Nanos, Nanos)>,
}

impl Life {
    /// All of them, in the order of their joining.
    pub fn all(trail: &[Entry], deeds: &[Deed]) -> Vec<Life> {
        let mut lives: Vec<Life> = trail.iter().filter_map(Life::begin).collect();
        for life in &mut lives {
            for entry in trail {
                life.hear(entry);
            }
            life.suffer(deeds);
        }
        lives
    }

    fn begin(entry: &Entry) -> Option<Life> {
        let What::Joined {
            window,
            max_cluster_size,
            poison_limit,
        } = entry.what
        else {
            return None;
        };
        Some(Life {
            engine: entry.engine.clone(),
            process: entry.process,
            joined: entry.at,
            window,
            max_cluster_size,
            poison_limit,
            concurrency: 0,
            beats: Vec::new(),
            resigned: None,
            left: None,
            ended: None,
            frozen: Vec::new(),
            disturbed: Vec::new(),
        })
    }

    fn hear(&mut self, entry: &Entry) {
        if entry.engine != self.engine {
            return;
        }
        match entry.what {
            What::Serves { concurrency } => self.concurrency = concurrency,
            What::Heartbeat { sent } => self.beats.push((sent, entry.at)),
            What::SteppedDown | What::Drains => {
                self.resigned.get_or_insert(entry.at);
            }
            What::Leaves => {
                self.resigned.get_or_insert(entry.at);
                self.left.get_or_insert(entry.at);
            }
            _ => {}
        }
    }

    fn suffer(&mut self, deeds: &[Deed]) {
        let mut since = None;
        for deed in deeds {
            match deed.did {
                Did::Killed(process) | Did::Ended(process) if process == self.process => {
                    self.ended.get_or_insert(deed.at);
                }
                Did::Froze(process) if process == self.process => since = Some(deed.at),
                Did::Thawed(process) if process == self.process => {
                    self.frozen.extend(since.take().map(|from| (from, deed.at)));
                }
                Did::Disturbed(whom, since) if whom.is_none_or(|whom| whom == self.process) => {
                    self.disturbed.push((since, deed.at));
                }
                _ => {}
            }
        }
        self.frozen.extend(since.map(|from| (from, Nanos::MAX)));
    }

    /// Heartbeat period.
    pub fn period(&self) -> Nanos {
        self.window / 3
    }

    /// How often it looks at the others, as `flux_core::ownership::Timing` says.
    pub fn observes(&self) -> Nanos {
        (self.window / 12).min(60_000_000_000)
    }

    /// The time between the end of its acting and the first possible conviction.
    pub fn guard(&self) -> Nanos {
        self.window / 10
    }

    /// The answer to its last heartbeat that was sent before this moment.
    pub fn last_beat(&self, before: Nanos) -> Option<(Nanos, Nanos)> {
        let sent_before = |beat: &&(Nanos, Nanos)| beat.0 <= before;
        self.beats
            .iter()
            .filter(sent_before)
            .max_by_key(|beat| beat.0)
            .copied()
    }

    /// The end of the last disturbance within this time.
    pub fn disturbed_until(&self, from: Nanos, to: Nanos) -> Option<Nanos> {
        let within = self.disturbed.iter().filter(|(a, b)| *b > from && *a <= to);
        within.map(|(_, end)| *end).max()
    }

    /// Whether it could do its duties all the time: lived, was not frozen, could reach the database,
    /// and beat in time, without which it judges nobody and claims nothing.
    pub fn was_well(&self, from: Nanos, to: Nanos) -> bool {
        let over = [self.resigned, self.ended];
        let lived = self.joined <= from && over.into_iter().flatten().all(|end| end > to);
        let thawed = self.frozen.iter().all(|(a, b)| *b < from || *a > to);
        let reached = self.disturbed_until(from, to).is_none();
        lived && thawed && reached && self.beat_in_time(from, to)
    }

    fn beat_in_time(&self, from: Nanos, to: Nanos) -> bool {
        let limit = self.period() * 2;
        let mut last = from.saturating_sub(limit).max(self.joined);
        for (sent, _) in self.beats.iter().filter(|(sent, _)| *sent <= to) {
            if *sent >= from && sent.saturating_sub(last) > limit {
                return false;
            }
            last = last.max(*sent);
        }
        to.saturating_sub(last) <= limit
    }
}
