//! Virtual time and the tasks that live in it.
//!
//! One thread polls one task after the other; which of those that are ready is drawn from the
//! seed. When none is ready, time jumps to the next timer. A process is a set of tasks: freezing
//! it means not to poll them, a crash means to drop them.

use crate::rng::Rng;
use flux_core::host::Task;
use std::collections::{BTreeMap, BTreeSet};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

/// Polls without time passing that nobody needs who makes progress.
const MOST_POLLS_AT_ONCE: u32 = 100_000;

/// Nanoseconds since the life began, by no engine's clock.
pub type Instant = u64;

/// Whose task it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Owner {
    /// 0 is the world: nothing freezes or kills its tasks.
    pub process: u32,
    /// On a thread of its own, so that a stalled runtime does not stop it.
    pub apart: bool,
}

pub const WORLD: Owner = Owner {
    process: 0,
    apart: false,
};

/// How much of a process stands still.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Halt {
    /// All of it: SIGSTOP, a paused machine.
    Process,
    /// Its runtime: something blocks all its threads. What runs apart goes on.
    Runtime,
}

pub struct World {
    inner: Mutex<Inner>,
    ready: Arc<Ready>,
}

struct Inner {
    now: Instant,
    serial: u64,
    timers: BTreeMap<(Instant, u64), Waker>,
    tasks: BTreeMap<u64, Slot>,
    halted: BTreeMap<u32, Halt>,
    current: Owner,
    polls_at_once: u32,
    rng: Rng,
}

struct Slot {
    owner: Owner,
    waker: Waker,
    /// Taken out while it is polled.
    task: Option<Task>,
}

/// Tasks to be polled. A set, so that the order of wakes within one poll means nothing.
#[derive(Default)]
struct Ready(Mutex<BTreeSet<u64>>);

struct Alarm {
    task: u64,
    ready: Arc<Ready>,
}

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        self.ready.0.lock().unwrap().insert(self.task);
    }
}

/// What became of a step.
#[derive(Debug, PartialEq, Eq)]
pub enum Stepped {
    On,
    /// Nothing is ready, and no timer is set.
    Over,
    /// Tasks wake each other without end.
    Spins(Owner),
}

impl World {
    pub fn new(rng: Rng) -> Arc<World> {
        Arc::new(World {
            inner: Mutex::new(Inner {
                now: 0,
                serial: 0,
                timers: BTreeMap::new(),
                tasks: BTreeMap::new(),
                halted: BTreeMap::new(),
                current: WORLD,
                polls_at_once: 0,
                rng,
            }),
            ready: Arc::default(),
        })
    }

    pub fn now(&self) -> Instant {
        self.lock().now
    }

    /// Whose task is being polled.
    pub fn current(&self) -> Owner {
        self.lock().current
    }

    /// A number that was not given before.
    pub fn serial(&self) -> u64 {
        let mut inner = self.lock();
        inner.serial += 1;
        inner.serial
    }

    pub fn spawn(&self, owner: Owner, task: Task) {
        let id = self.serial();
        let ready = Arc::clone(&self.ready);
        let alarm = Arc::new(Alarm { task: id, ready });
        let slot = Slot {
            owner,
            waker: Waker::from(alarm),
            task: Some(task),
        };
        slot.waker.wake_by_ref();
        self.lock().tasks.insert(id, slot);
    }

    pub fn sleep(self: &Arc<World>, by: Duration) -> Timer {
        let at = self.now().saturating_add(by.as_nanos() as u64);
        Timer {
            world: Arc::clone(self),
            at,
            key: None,
        }
    }

    pub fn halt(&self, process: u32, halt: Halt) {
        self.lock().halted.insert(process, halt);
    }

    pub fn resume(&self, process: u32) {
        self.lock().halted.remove(&process);
    }

    /// Drops everything that belongs to a process.
    pub fn kill(&self, process: u32) {
        let mut inner = self.lock();
        inner.halted.remove(&process);
        let tasks = std::mem::take(&mut inner.tasks);
        let (dead, living) = tasks
            .into_iter()
            .partition(|(_, slot)| slot.owner.process == process);
        inner.tasks = living;
        let mut ready = self.ready.0.lock().unwrap();
        ready.retain(|id| inner.tasks.contains_key(id));
        drop(ready);
        drop(inner);
        drop::<BTreeMap<_, _>>(dead);
    }

    /// Polls one task, or lets time pass until one is ready.
    pub fn step(&self) -> Stepped {
        let Some(id) = self.choose() else {
            return self.pass();
        };
        let (mut task, waker) = {
            let mut inner = self.lock();
            inner.polls_at_once += 1;
            let owner = inner.tasks[&id].owner;
            if inner.polls_at_once > MOST_POLLS_AT_ONCE {
                return Stepped::Spins(owner);
            }
            inner.current = owner;
            let slot = inner.tasks.get_mut(&id).unwrap();
            (slot.task.take().unwrap(), slot.waker.clone())
        };
        let polled = task.as_mut().poll(&mut Context::from_waker(&waker));
        let mut inner = self.lock();
        inner.current = WORLD;
        match polled {
            Poll::Pending => {
                if let Some(slot) = inner.tasks.get_mut(&id) {
                    slot.task = Some(task);
                }
            }
            Poll::Ready(()) => {
                inner.tasks.remove(&id);
                self.ready.0.lock().unwrap().remove(&id);
                drop(inner);
                drop(task);
            }
        }
        Stepped::On
    }

    fn choose(&self) -> Option<u64> {
        let mut inner = self.lock();
        let mut ready = self.ready.0.lock().unwrap();
        let runs = |id: &&u64| {
            let Some(slot) = inner.tasks.get(id) else {
                return false;
            };
            let owner = slot.owner;
            match inner.halted.get(&owner.process) {
                None => true,
                Some(Halt::Runtime) => owner.apart,
                Some(Halt::Process) => false,
            }
        };
        let able: Vec<u64> = ready.iter().filter(runs).copied().collect();
        let chosen = match able[..] {
            [] => return None,
            [only] => only,
            _ => inner.rng.pick(&able),
        };
        ready.remove(&chosen);
        Some(chosen)
    }

    fn pass(&self) -> Stepped {
        let mut inner = self.lock();
        let Some((&(at, _), _)) = inner.timers.first_key_value() else {
            return Stepped::Over;
        };
        inner.now = at;
        inner.polls_at_once = 0;
        let mut due = Vec::new();
        while let Some(entry) = inner.timers.first_entry() {
            if entry.key().0 > at {
                break;
            }
            due.push(entry.remove());
        }
        drop(inner);
        due.into_iter().for_each(Waker::wake);
        Stepped::On
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap()
    }
}

/// Is done at a moment.
pub struct Timer {
    world: Arc<World>,
    at: Instant,
    key: Option<(Instant, u64)>,
}

impl Future for Timer {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut inner = self.world.lock();
        if inner.now >= self.at {
            return Poll::Ready(());
        }
        let key = self.key.unwrap_or_else(|| {
            inner.serial += 1;
            (self.at, inner.serial)
        });
        inner.timers.insert(key, cx.waker().clone());
        drop(inner);
        self.key = Some(key);
        Poll::Pending
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        if let Some(key) = self.key {
            self.world.lock().timers.remove(&key);
        }
    }
}
