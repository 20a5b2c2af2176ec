//! Moving lines at the bottom of a terminal, one for each action in progress.

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
