//! Places in the source text.

use flux_core::chart::Position;

/// A range of bytes of the source text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Span {
    /// First byte.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
}

impl Span {
    pub(crate) fn new(start: usize, end: usize) -> Span {
        Span { start, end }
    }
}

/// The source text with an index of its lines.
pub(crate) struct Source<'s> {
    pub text: &'s str,
    starts: Vec<usize>,
}

impl<'s> Source<'s> {
    pub(crate) fn new(text: &'s str) -> Source<'s> {
        let breaks = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        let starts = std::iter::once(0)
            .chain(breaks.map(|(at, _)| at + 1))
            .collect();
        Source { text, starts }
    }

    /// The nearest character boundary at or before the offset.
    pub(crate) fn floor(&self, offset: usize) -> usize {
        let mut offset = offset.min(self.text.len());
        while !self.text.is_char_boundary(offset) {
            offset -= 1;
        }
        offset
    }

    fn line_index(&self, offset: usize) -> usize {
        self.starts
            .partition_point(|start| *start <= offset)
            .saturating_sub(1)
    }

    /// Line and column in characters, from 1. A byte order mark has no column.
    pub(crate) fn position(&self, offset: usize) -> Position {
        let offset = self.floor(offset);
        let line = self.line_index(offset);
        let before = &self.text[self.starts[line]..offset];
        let column = before.trim_start_matches('\u{feff}').chars().count();
        Position {
            line: small(line + 1),
            column: small(column + 1),
        }
    }

    /// The line, from 1, without its line break.
    pub(crate) fn line(&self, line: u32) -> &'s str {
        let index = (line as usize).saturating_sub(1);
        let Some(start) = self.starts.get(index) else {
            return "";
        };
        let end = self
            .starts
            .get(index + 1)
            .copied()
            .unwrap_or(self.text.len());
        self.text[*start..end]
            .trim_end_matches(['\n', '\r'])
            .trim_start_matches('\u{feff}')
    }

    /// Characters of the span that are on its first line, at least 1.
    pub(crate) fn length(&self, span: Span) -> u32 {
        let (start, end) = (self.floor(span.start), self.floor(span.end));
        let text = self.text.get(start..end).unwrap_or_default();
        let first = text.lines().next().unwrap_or_default().trim_end();
        small(first.chars().count().max(1))
    }
}

fn small(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// Where the byte `offset` of a scalar's value is in the source: the value and the raw text are
/// walked together, skipping what only the notation has (quotes, escapes, indentation).
pub(crate) fn locate(source: &str, span: Span, value: &str, offset: usize) -> usize {
    let Some(raw) = source.get(span.start..span.end) else {
        return span.start;
    };
    let mut rest = raw.char_indices().peekable();
    let mut found = 0;
    for (at, wanted) in value.char_indices() {
        while let Some((place, have)) = rest.peek().copied() {
            let same = have == wanted || (wanted.is_whitespace() && have.is_whitespace());
            if same {
                found = place;
                break;
            }
            rest.next();
        }
        if at >= offset {
            return span.start + found;
        }
        if rest.next().is_none() {
            break;
        }
    }
    // Past the end: the byte after the last character that was found.
    let next = raw[found..].chars().next().map_or(0, char::len_utf8);
    span.start + found + if offset >= value.len() { next } else { 0 }
}
