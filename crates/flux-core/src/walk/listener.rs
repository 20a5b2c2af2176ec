//! `listen`: which events a branch has heard, and when it has heard enough.

use super::memory::{Cursor, Local};
use super::vars::holds;
use super::{Go, Walk};
use crate::chart::{
    Attribute, Correlation, EventFilter, Expect, Fault, FaultKind, Kind, Listen, Node, Read, Until,
};
use crate::expr::Scope;
use crate::ports::branches::Wait;
use crate::ports::runs::Signal;
use crate::value::{self, Value};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::sync::Arc;

/// Progress of a `listen`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Heard {
    /// What was read of the events consumed so far, in order.
    #[serde(serialize_with = "write", deserialize_with = "read")]
    items: Vec<Value>,
    /// Filters that have been met, by index; those of `until` follow the others.
    met: Vec<usize>,
    /// Correlation values that the first event fixed, by key.
    #[serde(serialize_with = "write_keys", deserialize_with = "read_keys")]
    keys: Vec<(String, Value)>,
    /// Sequence number of the last signal looked at.
    seen: u64,
    /// Whether the listener has heard enough, and only the `foreach` body is still going on.
    over: bool,
}

impl Heard {
    /// The event that the `foreach` body is about.
    pub fn current(&self) -> Option<&Value> {
        self.items.last()
    }

    pub fn count(&self) -> usize {
        self.items.len()
    }
}

/// What one event means to a listener.
enum Meaning {
    /// Nothing.
    Ignored,
    /// Consumed; `over`: nothing more is needed.
    Consumed { over: bool },
}

impl Walk {
    /// Looks at the signals at hand.
    pub(super) fn listen(
        &mut self,
        node: &Node,
        listen: &Listen,
        mut heard: Heard,
    ) -> Result<Go, Fault> {
        while let Some(signal) = self.inbox.pop_front() {
            if signal.seq <= heard.seen {
                continue;
            }
            heard.seen = signal.seq;
            let event = event_of(&signal)?;
            let before = heard.items.len();
            let meaning = self.weigh(node, listen, &mut heard, &event)?;
            let Meaning::Consumed { over } = meaning else {
                continue;
            };
            self.pending.consumed.push(signal.id);
            self.unsaved = true;
            heard.over = over;
            let new = heard.items.len() > before;
            let first = listen.foreach.as_ref().and_then(|foreach| foreach.first);
            if let (true, Some(first)) = (new, first) {
                self.set_local(Local::Listen(heard));
                let data = event_data(listen, &event);
                self.memory.at = Cursor::Enter { node: first, data };
                return Ok(Go::On);
            }
            if over {
                return self.heard_enough(heard);
            }
        }
        let signals_after = Some(heard.seen);
        self.set_local(Local::Listen(heard));
        let wait = Wait {
            due_at: self.deadline(),
            signals_after,
            ..Wait::default()
        };
        Ok(Go::Stop(self.park(wait)))
    }

    /// The `foreach` body for one event is done with this output, which replaces the event.
    pub(super) fn heard_on(&mut self, listen: &Listen, data: Value) -> Result<Go, Fault> {
        let chart = Arc::clone(&self.chart);
        let node = chart.node(self.memory.node());
        debug_assert!(matches!(node.kind, Kind::Listen(_)));
        let Some(Local::Listen(heard)) = self.top().map(|frame| frame.local.clone()) else {
            return self.leave_with(data);
        };
        let mut heard = heard;
        if let Some(last) = heard.items.last_mut() {
            *last = data;
        }
        if heard.over {
            return self.heard_enough(heard);
        }
        self.set_local(Local::Listen(heard.clone()));
        self.memory.at = Cursor::Inside;
        self.listen(node, listen, heard)
    }

    fn heard_enough(&mut self, heard: Heard) -> Result<Go, Fault> {
        self.set_local(Local::None);
        self.done(value::array(heard.items))
    }

    fn weigh(
        &self,
        node: &Node,
        listen: &Listen,
        heard: &mut Heard,
        event: &Value,
    ) -> Result<Meaning, Fault> {
        let Some(frame) = self.top() else {
            return Ok(Meaning::Ignored);
        };
        let input = frame.input.clone();
        let scope = self.scope(node, &input, Some(&input));
        let ear = Ear {
            input: &input,
            scope: &scope,
            event,
        };
        match &listen.to {
            Expect::One(filter) => {
                if !ear.passes(filter, heard)? {
                    return Ok(Meaning::Ignored);
                }
                heard.items.push(event_data(listen, event));
                Ok(Meaning::Consumed { over: true })
            }
            Expect::All(filters) => {
                for (index, filter) in filters.iter().enumerate() {
                    if !heard.met.contains(&index) && ear.passes(filter, heard)? {
                        heard.met.push(index);
                        heard.items.push(event_data(listen, event));
                        let over = heard.met.len() == filters.len();
                        return Ok(Meaning::Consumed { over });
                    }
                }
                Ok(Meaning::Ignored)
            }
            Expect::Any { filters, until } => {
                if let Some(Until::Consumed { filters: stop, all }) = until
                    && let Some(over) = ear.stops(stop, *all, filters.len(), heard)?
                {
                    return Ok(Meaning::Consumed { over });
                }
                if !ear.any(filters, heard)? {
                    return Ok(Meaning::Ignored);
                }
                heard.items.push(event_data(listen, event));
                let over = match until {
                    None => true,
                    Some(Until::Consumed { .. }) => false,
                    Some(Until::Condition(condition)) => {
                        holds(condition, &value::array(heard.items.clone()), &scope)?
                    }
                };
                Ok(Meaning::Consumed { over })
            }
        }
    }
}

/// One event in the ear of one listener.
struct Ear<'a> {
    input: &'a Value,
    scope: &'a Scope,
    event: &'a Value,
}

impl Ear<'_> {
    fn any(&self, filters: &[EventFilter], heard: &mut Heard) -> Result<bool, Fault> {
        for filter in filters {
            if self.passes(filter, heard)? {
                return Ok(true);
            }
        }
        Ok(filters.is_empty())
    }

    /// Whether the event belongs to `until`, and whether that is met then.
    fn stops(
        &self,
        filters: &[EventFilter],
        all: bool,
        offset: usize,
        heard: &mut Heard,
    ) -> Result<Option<bool>, Fault> {
        for (index, filter) in filters.iter().enumerate() {
            let index = index + offset;
            if heard.met.contains(&index) || !self.passes(filter, heard)? {
                continue;
            }
            heard.met.push(index);
            let met = heard.met.iter().filter(|met| **met >= offset).count();
            return Ok(Some(!all || met == filters.len()));
        }
        Ok(None)
    }

    fn passes(&self, filter: &EventFilter, heard: &mut Heard) -> Result<bool, Fault> {
        for (name, test) in &filter.with {
            let actual = value::get(self.event, name).cloned().unwrap_or_default();
            let passes = match test {
                Attribute::Equals(template) => template.eval(self.input, self.scope)? == actual,
                Attribute::Holds(expr) => holds(expr, &actual, self.scope)?,
            };
            if !passes {
                return Ok(false);
            }
        }
        self.correlates(&filter.correlate, heard)
    }

    fn correlates(&self, correlations: &[Correlation], heard: &mut Heard) -> Result<bool, Fault> {
        let mut fixed = Vec::new();
        for correlation in correlations {
            let actual = correlation.from.eval(self.event, self.scope)?;
            let known = heard.keys.iter().find(|(key, _)| *key == correlation.key);
            let expected = match (&correlation.expect, known) {
                (Some(template), _) => template.eval(self.input, self.scope)?,
                (None, Some((_, value))) => value.clone(),
                (None, None) => {
                    fixed.push((correlation.key.clone(), actual));
                    continue;
                }
            };
            if actual != expected {
                return Ok(false);
            }
        }
        heard.keys.extend(fixed);
        Ok(true)
    }
}

fn event_of(signal: &Signal) -> Result<Value, Fault> {
    value::parse(&signal.json).map_err(|error| {
        Fault::new(
            FaultKind::Runtime,
            format!("the stored event {} is damaged: {error}", signal.seq),
        )
    })
}

fn event_data(listen: &Listen, event: &Value) -> Value {
    match listen.read {
        Read::Data => value::get(event, "data").cloned().unwrap_or_default(),
        Read::Envelope => event.clone(),
    }
}

fn write<S: Serializer>(items: &[Value], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(items.iter().map(value::to_serde))
}

fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Value>, D::Error> {
    Vec::<Value>::deserialize(deserializer)
}

fn write_keys<S: Serializer>(keys: &[(String, Value)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(
        keys.iter()
            .map(|(key, value)| (key, value::to_serde(value))),
    )
}

fn read_keys<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<(String, Value)>, D::Error> {
    Vec::<(String, Value)>::deserialize(deserializer)
}
