//! Events: to one run, and to all that listen.

use std::collections::BTreeSet;

use flux_core::clock::Timestamp;
use flux_core::ids::{RunId, SignalId};
use flux_core::ports::runs::{Event, Signal, Signalled};
use uuid::Uuid;

use super::look::final_state;
use super::state::State;

impl State {
    pub(super) fn signal(&mut self, run: RunId, event: &Event, now: Timestamp) -> Signalled {
        match self.runs.get(&run).map(|run| &run.ended) {
            None => Signalled::NotFound,
            Some(Some((outcome, _))) => Signalled::Ended(final_state(outcome)),
            Some(None) => match self.remember(run, event) {
                false => Signalled::Duplicate,
                true => {
                    self.keep(run, event, now);
                    Signalled::Accepted
                }
            },
        }
    }

    /// Delivers an event to all that listen and have not had it; true when somebody woke.
    pub(super) fn publish(&mut self, event: &Event, now: Timestamp) -> bool {
        let listens = |kind: &Option<String>| kind.as_ref().is_none_or(|kind| *kind == event.kind);
        let subscribed = self.subscriptions.iter();
        let listeners: BTreeSet<RunId> = subscribed
            .filter(|(_, kind)| listens(kind))
            .map(|(run, _)| *run)
            .collect();
        let mut woke = false;
        for run in listeners {
            if self.remember(run, event) {
                woke |= self.keep(run, event, now);
            }
        }
        woke
    }

    /// False when the run has had the event.
    fn remember(&mut self, run: RunId, event: &Event) -> bool {
        let (source, id) = (event.source.clone(), event.id.clone());
        self.inbox.insert((run, source, id))
    }

    fn keep(&mut self, run: RunId, event: &Event, now: Timestamp) -> bool {
        self.last_signal += 1;
        let seq = self.last_signal;
        let signal = Signal {
            id: SignalId::new(Uuid::from_u128(u128::from(seq))),
            seq,
            kind: event.kind.clone(),
            json: event.json.clone(),
        };
        self.signals.insert(seq, (run, signal));
        let mut woke = false;
        for id in self.branches_where(|b| b.run == run && b.signals_after.is_some()) {
            woke |= self.settle(id, now);
        }
        woke
    }

    /// Removes signals of the run that a listener has consumed.
    pub(super) fn consume(&mut self, run: RunId, consumed: &[SignalId]) {
        self.signals
            .retain(|_, (of, signal)| *of != run || !consumed.contains(&signal.id));
    }
}
