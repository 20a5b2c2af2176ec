//! Keeps the start of a process's output, and the end of what is too much, while the pipe goes on
//! draining: a process never blocks because it says more than anybody wants to keep.

use tokio::io::{AsyncRead, AsyncReadExt};

/// How much of the end is kept for faults.
const TAIL: usize = 2 << 10;

/// What was kept of one output.
#[derive(Debug)]
pub(super) struct Captured {
    limit: usize,
    head: Vec<u8>,
    tail: Vec<u8>,
    discarded: u64,
}

impl Captured {
    /// Nothing yet; keeps `limit` bytes.
    pub fn new(limit: usize) -> Captured {
        Captured {
            limit,
            head: Vec::new(),
            tail: Vec::new(),
            discarded: 0,
        }
    }

    /// Reads to the end. What was read is kept when this future is dropped before that.
    pub async fn drain(&mut self, pipe: Option<impl AsyncRead + Unpin>) {
        let Some(mut pipe) = pipe else { return };
        let mut buffer = vec![0; 16 << 10];
        // A pipe that cannot be read is as good as closed: its process's exit code decides.
        while let Ok(length @ 1..) = pipe.read(&mut buffer).await {
            self.add(&buffer[..length]);
        }
    }

    fn add(&mut self, bytes: &[u8]) {
        let room = self.limit.saturating_sub(self.head.len()).min(bytes.len());
        let (kept, rest) = bytes.split_at(room);
        self.head.extend_from_slice(kept);
        self.discarded += rest.len() as u64;
        self.tail.extend_from_slice(rest);
        let excess = self.tail.len().saturating_sub(TAIL);
        self.tail.drain(..excess);
    }

    /// Whether something was left out.
    pub fn truncated(&self) -> bool {
        self.discarded > 0
    }

    /// The text without its last line break, as `$(..)` of a shell has it; invalid UTF-8 is
    /// replaced. JSON stays text.
    pub fn text(&self) -> String {
        let mut kept = &self.head[..];
        if self.truncated() {
            // Not half of a character at the cut.
            if let Err(error) = std::str::from_utf8(kept)
                && error.error_len().is_none()
            {
                kept = &kept[..error.valid_up_to()];
            }
        } else if let Some(line) = kept.strip_suffix(b"\n") {
            kept = line.strip_suffix(b"\r").unwrap_or(line);
        }
        String::from_utf8_lossy(kept).into_owned()
    }

    /// The text, which says in its last line that something was left out.
    pub fn marked(&self) -> String {
        let mut text = self.text();
        if self.truncated() {
            text.push_str(&format!("\n[truncated: {} more bytes]", self.discarded));
        }
        text
    }

    /// The last lines, at most 2 KiB.
    pub fn last_lines(&self) -> String {
        let all: Vec<u8> = self.head.iter().chain(&self.tail).copied().collect();
        let skipped = all.len().saturating_sub(TAIL);
        let mut end = &all[skipped..];
        // Begins with a whole line where something is left out, if there is one.
        if skipped + usize::from(self.truncated()) > 0
            && let Some(cut) = end.iter().position(|byte| *byte == b'\n')
            && cut + 1 < end.len()
        {
            end = &end[cut + 1..];
        }
        String::from_utf8_lossy(end).trim().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn captured(limit: usize, output: &[&str]) -> Captured {
        let mut captured = Captured::new(limit);
        output
            .iter()
            .for_each(|bytes| captured.add(bytes.as_bytes()));
        captured
    }

    #[test]
    fn one_line_break_at_the_end_is_dropped() {
        assert_eq!(captured(99, &["a\n", "\n"]).text(), "a\n");
        assert_eq!(captured(99, &["a\r\n"]).text(), "a");
        assert_eq!(captured(99, &[]).text(), "");
    }

    #[test]
    fn too_much_is_cut_at_a_character_and_marked() {
        let cut = captured(4, &["abc\u{e9}", "tail"]);
        assert!(cut.truncated());
        assert_eq!(cut.marked(), "abc\n[truncated: 5 more bytes]");
        let exact = captured(4, &["abcd"]);
        assert_eq!(
            (exact.truncated(), exact.marked()),
            (false, "abcd".to_owned())
        );
    }

    #[test]
    fn the_last_lines_come_from_the_end_whatever_was_left_out() {
        let line = "x".repeat(99) + "\n";
        let long = captured(10, &[&line.repeat(500), "the reason\n"]);
        let last = long.last_lines();
        assert!(
            last.ends_with("\nthe reason") && last.len() <= TAIL,
            "{last}"
        );
        assert!(last.starts_with(line.trim_end()), "{last}");
        assert_eq!(captured(99, &["one\ntwo\n"]).last_lines(), "one\ntwo");
    }
}
