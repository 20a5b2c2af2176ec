//! What the engines log, as lines of the trace.

use crate::life::Life;
use std::cell::RefCell;
use std::fmt::{Debug, Write};
use std::sync::{Arc, Once};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

thread_local! {
    /// The traced life of this thread.
    static LIFE: RefCell<Option<Arc<Life>>> = const { RefCell::new(None) };
}

/// Lets what the engines log while `live` is run appear in the trace of this life.
///
/// One subscriber serves the whole process: whether a log statement is listened to is remembered
/// for all threads, and must not depend on which of the lives beside each other came to it first.
pub fn logged<T>(life: &Arc<Life>, live: impl FnOnce() -> T) -> T {
    static SUBSCRIBED: Once = Once::new();
    SUBSCRIBED.call_once(|| {
        tracing::subscriber::set_global_default(Logs).expect("nobody else subscribes");
    });
    LIFE.set(Some(Arc::clone(life)));
    let lived = live();
    LIFE.set(None);
    lived
}

struct Logs;

impl Subscriber for Logs {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("flux_") && *metadata.level() <= Level::INFO
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let Some(life) = LIFE.with_borrow(Clone::clone) else {
            return;
        };
        let mut line = Line::default();
        event.record(&mut line);
        let owner = life.sim.world.current();
        let text = format!("log: {}{}", line.message, line.fields);
        life.sim
            .tell(&life.name_of(owner), |witness| witness.names.shorten(&text));
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

#[derive(Default)]
struct Line {
    message: String,
    fields: String,
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let written = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name => write!(self.fields, " {name}={value:?}"),
        };
        written.expect("writing to a string never fails");
    }
}
