//! Live progress of one run on standard error: a line for each thing that happens, and where
//! somebody watches, below them a moving line for each action in progress.

use super::live::Live;
use crate::output;
use anstyle::AnsiColor;
use flux_core::ids::RunId;
use flux_core::walk::Happened;
use flux_engine::EngineEvent;
use std::time::Instant;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Prints until it is ended.
pub struct Progress {
    task: JoinHandle<()>,
    end: CancellationToken,
}

impl Progress {
    /// Follows a run and its child runs.
    pub fn follow(run: RunId, events: Receiver<EngineEvent>) -> Progress {
        let end = CancellationToken::new();
        let printer = Printer {
            run,
            begin: Instant::now(),
            live: output::watched().then(Live::new),
        };
        Progress {
            task: tokio::spawn(printer.print(events, end.clone())),
            end,
        }
    }

    /// Prints what has happened up to now, and nothing after it.
    pub async fn end(self) {
        self.end.cancel();
        // An error says that it ended by itself.
        let _ended = self.task.await;
    }
}

struct Printer {
    run: RunId,
    begin: Instant,
    live: Option<Live>,
}

impl Printer {
    async fn print(mut self, mut events: Receiver<EngineEvent>, end: CancellationToken) {
        loop {
            let received = tokio::select! {
                biased;
                received = events.recv() => received,
                () = end.cancelled() => return,
            };
            match received {
                Ok(event) => self.event(&event),
                Err(RecvError::Lagged(missed)) => output::note(&format!("... {missed} more")),
                Err(RecvError::Closed) => return,
            }
        }
    }

    fn event(&mut self, event: &EngineEvent) {
        let shown = self.live.as_mut().is_some_and(|live| live.take(event));
        if !shown {
            for line in lines(self.run, event) {
                self.line(&line);
            }
        }
    }

    /// A line with the time since the beginning.
    fn line(&self, line: &str) {
        let coloured = match line.chars().next() {
            Some('+') => output::paint(line, AnsiColor::Green.on_default()),
            Some('!') => output::paint(line, AnsiColor::Red.on_default()),
            _ => line.to_owned(),
        };
        let seconds = self.begin.elapsed().as_secs_f64();
        output::note(&format!("{seconds:8.2}s  {coloured}"));
    }
}

fn lines(run: RunId, event: &EngineEvent) -> Vec<String> {
    match event {
        EngineEvent::ActionStarted {
            task, attempt: 1, ..
        } => vec![format!("> {task}")],
        EngineEvent::ActionStarted { task, attempt, .. } => {
            vec![format!("> {task} (attempt {attempt})")]
        }
        EngineEvent::ActionEnded {
            task,
            fault: None,
            took,
            ..
        } => {
            vec![format!("+ {task} in {:.2} s", took.as_secs_f64())]
        }
        EngineEvent::ActionEnded {
            task,
            fault: Some(fault),
            ..
        } => {
            vec![format!("! {task}: {fault}")]
        }
        EngineEvent::Committed { history, .. } => history.iter().filter_map(happened).collect(),
        EngineEvent::Claimed { lost, run: of, .. } if *lost > 0 && *of == run => {
            vec![format!(
                "taken over at its commit point (owners lost: {lost})"
            )]
        }
        EngineEvent::SteppedDown(_) => {
            vec!["lost contact with the store for too long; stopped, joining again".to_owned()]
        }
        _ => Vec::new(),
    }
}

fn happened(happened: &Happened) -> Option<String> {
    match happened {
        Happened::Retry {
            task, attempt, due, ..
        } => Some(format!("~ {task}: attempt {attempt} at {due}")),
        Happened::Caught { task, .. } => Some(format!("~ {task}: caught")),
        Happened::Waiting { task, .. } => Some(format!(". {task}: waiting")),
        Happened::Skipped { task, .. } => Some(format!("- {task}: skipped")),
        _ => None,
    }
}
