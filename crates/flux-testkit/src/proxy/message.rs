//! Messages of PostgreSQL's protocol, version 3: a letter, the length of the rest, the rest
//! (<https://www.postgresql.org/docs/current/protocol-message-formats.html>).

use std::io::{Error, ErrorKind};

const HEADER: usize = 5;

/// Bytes of one direction, of which the last message may be incomplete.
#[derive(Debug, Default)]
pub(super) struct Messages(Vec<u8>);

impl Messages {
    pub(super) fn extend(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    /// Takes the first message, when it is complete.
    pub(super) fn next(&mut self) -> Result<Option<Message>, Error> {
        let Some((header, _)) = self.0.split_first_chunk::<HEADER>() else {
            return Ok(None);
        };
        let end = 1 + length(&header[1..])?;
        if self.0.len() < end {
            return Ok(None);
        }
        let rest = self.0.split_off(end);
        Ok(Some(Message(std::mem::replace(&mut self.0, rest))))
    }
}

/// One whole message.
#[derive(Debug)]
pub(super) struct Message(Vec<u8>);

impl Message {
    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }

    pub(super) fn kind(&self) -> u8 {
        self.0[0]
    }

    /// The texts that it begins with, each ended by a zero.
    pub(super) fn texts(&self) -> impl Iterator<Item = String> {
        let parts = self.0[HEADER..].split(|byte| *byte == 0);
        parts.map(|text| String::from_utf8_lossy(text).into_owned())
    }
}

/// A length as it is sent, which counts itself.
pub(super) fn length(bytes: &[u8]) -> Result<usize, Error> {
    let number = bytes.first_chunk().map(|bytes| u32::from_be_bytes(*bytes));
    let length = number.and_then(|number| usize::try_from(number).ok());
    length
        .filter(|length| *length >= 4)
        .ok_or_else(|| Error::new(ErrorKind::InvalidData, "not PostgreSQL's protocol"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_found_however_their_bytes_arrive() {
        let bytes = b"Q\0\0\0\x0bCOMMIT\0S\0\0\0\x04P\0\0\0\x0fs\0SELECT 1\0";
        for step in 1..bytes.len() {
            let mut messages = Messages::default();
            let mut found = Vec::new();
            for piece in bytes.chunks(step) {
                messages.extend(piece);
                while let Some(message) = messages.next().expect("valid") {
                    found.push((message.kind(), message.texts().next().expect("a text")));
                }
            }
            let expected = [(b'Q', "COMMIT"), (b'S', ""), (b'P', "s")];
            assert_eq!(found, expected.map(|(kind, text)| (kind, text.to_owned())));
        }
    }

    #[test]
    fn what_is_no_message_is_an_error() {
        let mut messages = Messages::default();
        messages.extend(b"Q\0\0\0\x01");
        assert!(messages.next().is_err());
    }
}
