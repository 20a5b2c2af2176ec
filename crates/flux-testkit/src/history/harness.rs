//! What the test itself did, and when: written down by [`crate::Cluster`] and [`crate::Flux`].

use super::{Entry, Nanos, now};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The test was not given the processor for longer than this: then nor may the engines have been.
const STALL: Nanos = 50_000_000;

/// Something the test did, or saw.
#[derive(Clone, Debug)]
pub struct Deed {
    /// When, by the boot clock: before a signal was sent, except for [`Did::Thawed`].
    pub at: Nanos,
    /// What.
    pub did: Did,
}

/// What the test did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Did {
    /// Started a process, whose number this is.
    Started(usize),
    /// Sent it SIGKILL.
    Killed(usize),
    /// Sent it SIGTERM.
    Terminated(usize),
    /// Sent it SIGSTOP.
    Froze(usize),
    /// Sent it SIGCONT.
    Thawed(usize),
    /// Saw its end, whoever caused it.
    Ended(usize),
    /// Was told that this run has been started.
    Submitted(String),
    /// Got no processor from that time on until now.
    Stalled(Nanos),
    /// Hindered the database, or only its way to this process, from that time on until now: who
    /// cannot reach it can do no duties.
    Disturbed(Option<usize>, Nanos),
}

/// Takes down deeds and trails of all processes of one cluster.
#[derive(Clone, Debug, Default)]
pub struct Recorder(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    book: Mutex<Book>,
}

#[derive(Clone, Debug, Default)]
struct Book {
    processes: usize,
    deeds: Vec<Deed>,
    trail: Vec<Entry>,
}

impl Recorder {
    /// A recorder that also watches whether the machine lets it.
    pub fn new() -> Recorder {
        let recorder = Recorder::default();
        let shared = Arc::downgrade(&recorder.0);
        std::thread::spawn(move || {
            let mut before = now();
            while let Some(shared) = shared.upgrade() {
                let this = now();
                if this.saturating_sub(before) > STALL {
                    Recorder(shared).did(Did::Stalled(before));
                }
                before = this;
                crate::wait::pause();
            }
        });
        recorder
    }

    /// A new process; its number.
    pub fn start(&self) -> usize {
        let mut book = self.lock();
        book.processes += 1;
        let process = book.processes;
        book.note(Did::Started(process));
        process
    }

    /// Takes down a deed of this moment.
    pub fn did(&self, did: Did) {
        self.lock().note(did);
    }

    /// Takes down a line that a process wrote, if it is evidence.
    pub fn line(&self, process: usize, line: &str) {
        if let Some(entry) = Entry::parse(process, line) {
            self.lock().trail.push(entry);
        }
    }

    /// All so far.
    pub fn read(&self) -> (Vec<Deed>, Vec<Entry>) {
        let book = self.lock().clone();
        (book.deeds, book.trail)
    }

    fn lock(&self) -> MutexGuard<'_, Book> {
        self.0.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Book {
    fn note(&mut self, did: Did) {
        self.deeds.push(Deed { at: now(), did });
    }
}
