//! Pages: where one ends, and how much fits on it.

use prost::Message;

/// The kind of token that [`crate::check::token`] gives for runs.
pub(super) const RUNS: u8 = 1;
/// The same for workflows.
pub(super) const WORKFLOWS: u8 = 2;

/// Bytes after which a page ends early: most clients take no message of more than 4 MiB.
const FULL: usize = 3 << 20;

/// The first items that fit on a page of this length, and whether more follow.
pub(super) fn page<T: Message>(items: impl IntoIterator<Item = T>, length: u32) -> (Vec<T>, bool) {
    let (mut page, mut bytes) = (Vec::new(), 0);
    for item in items {
        bytes += item.encoded_len();
        if page.len() >= length as usize || (bytes > FULL && !page.is_empty()) {
            return (page, true);
        }
        page.push(item);
    }
    (page, false)
}

#[cfg(test)]
mod tests {
    use super::page;

    #[test]
    fn a_page_ends_when_it_is_long_or_heavy_enough() {
        let items = |count: usize, bytes: usize| vec!["x".repeat(bytes); count];
        let length = |count, bytes, length| {
            let (page, more) = page(items(count, bytes), length);
            (page.len(), more)
        };
        assert_eq!(length(0, 1, 2), (0, false));
        assert_eq!(length(2, 1, 2), (2, false));
        assert_eq!(length(3, 1, 2), (2, true));
        assert_eq!(length(3, 2 << 20, 100), (1, true));
        assert_eq!(length(2, 8 << 20, 100), (1, true));
    }
}
