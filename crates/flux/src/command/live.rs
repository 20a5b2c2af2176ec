//! The bottom of a terminal: a moving line for each action in progress, or a table that is kept
//! up to date.

use crate::output;
use flux_core::ids::BranchId;
use flux_engine::EngineEvent;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use std::collections::HashMap;
use std::time::Duration;

/// The lines; gone when dropped.
pub struct Live {
    lines: MultiProgress,
    /// A branch performs one action at a time.
    actions: HashMap<BranchId, ProgressBar>,
}

impl Live {
    /// How often the lines move.
    const EVERY: Duration = Duration::from_millis(100);

    pub fn new() -> Live {
        let lines = MultiProgress::new();
        output::set_live(Some(lines.clone()));
        Live {
            lines,
            actions: HashMap::new(),
        }
    }

    /// True when the event is shown by a moving line and needs no other.
    pub fn take(&mut self, event: &EngineEvent) -> bool {
        match event {
            EngineEvent::ActionStarted {
                branch,
                task,
                attempt,
                ..
            } => {
                let again = if *attempt > 1 {
                    format!(" (attempt {attempt})")
                } else {
                    String::new()
                };
                self.begin(*branch, format!("{task}{again}"));
                true
            }
            EngineEvent::ActionEnded { branch, .. }
            | EngineEvent::Claimed { branch, .. }
            | EngineEvent::BranchEnded { branch, .. }
            | EngineEvent::Fenced { branch, .. } => {
                self.end(*branch);
                false
            }
            EngineEvent::SteppedDown(_) => {
                self.clear();
                false
            }
            _ => false,
        }
    }

    fn begin(&mut self, branch: BranchId, text: String) {
        self.end(branch);
        let line = self.lines.add(ProgressBar::new_spinner());
        let style = ProgressStyle::with_template("{elapsed:>9}  {spinner} {msg}");
        line.set_style(style.expect("the template is right: a test draws it"));
        line.set_message(text);
        line.enable_steady_tick(Live::EVERY);
        self.actions.insert(branch, line);
    }

    fn end(&mut self, branch: BranchId) {
        if let Some(line) = self.actions.remove(&branch) {
            line.finish_and_clear();
        }
    }

    fn clear(&mut self) {
        for (_, line) in self.actions.drain() {
            line.finish_and_clear();
        }
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.clear();
        output::set_live(None);
    }
}

/// A text at the bottom, replaced in place; notes appear above it. It stays when dropped.
pub struct Board(ProgressBar);

impl Board {
    pub fn new() -> Board {
        let lines = MultiProgress::new();
        let text = lines.add(ProgressBar::new_spinner());
        let style = ProgressStyle::with_template("{msg}");
        text.set_style(style.expect("the template is right: it is not much"));
        output::set_live(Some(lines));
        Board(text)
    }

    /// Shows this text instead of the one before.
    pub fn show(&self, text: &str) {
        self.0.set_message(output::harmless(text));
        self.0.tick();
    }
}

impl Drop for Board {
    fn drop(&mut self) {
        self.0.abandon();
        output::set_live(None);
    }
}
