//! Live progress of one run on standard error: one line for each thing that happens.

use crate::output;
use flux_core::ids::RunId;
use flux_core::walk::Happened;
use flux_engine::EngineEvent;
use std::time::Instant;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::task::JoinHandle;

/// Prints until dropped.
pub struct Progress(JoinHandle<()>);

impl Progress {
    /// Follows a run and its child runs.
    pub fn follow(run: RunId, mut events: Receiver<EngineEvent>) -> Progress {
        let begin = Instant::now();
        Progress(tokio::spawn(async move {
            loop {
                match events.recv().await {
                    Ok(event) => {
                        for line in lines(run, &event) {
                            output::note(&format!(
                                "{:8.2}s  {line}",
                                begin.elapsed().as_secs_f64()
                            ));
                        }
                    }
                    Err(RecvError::Lagged(missed)) => output::note(&format!("... {missed} more")),
                    Err(RecvError::Closed) => return,
                }
            }
        }))
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.abort();
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
