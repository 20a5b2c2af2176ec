//! What engine and runner say to each other: frames of a length and JSON.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::io::{self, Read};
use std::path::PathBuf;

/// Longest frame; input for a process is at most a few megabytes.
const LONGEST: u32 = 256 << 20;

/// What the engine wants.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Order {
    /// The first order: what to start.
    Start(Box<Start>),
    /// The engine may act until this boot time in nanoseconds; it never goes back.
    Until(u64),
    /// End the child: SIGTERM, and SIGKILL after this many milliseconds.
    End {
        /// Milliseconds.
        grace_ms: u64,
    },
}

/// A process to start.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Start {
    pub program: String,
    pub arguments: Vec<String>,
    /// On top of the runner's own, which the engine has cleaned.
    pub environment: Vec<(String, String)>,
    pub directory: Option<PathBuf>,
    pub stdin: Option<String>,
    /// As in [`Order::Until`]; without one, only the socket limits it.
    pub until: Option<u64>,
}

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Report {
    /// The system refused, with this error number.
    Refused(Option<i32>),
    /// The child ended.
    Ended {
        /// As `wait` returned it.
        status: i32,
        /// It was killed because the deadline passed.
        expired: bool,
    },
}

/// One frame, to be written at once.
pub(crate) fn frame(message: &impl Serialize) -> io::Result<Vec<u8>> {
    let mut frame = vec![0; 4];
    serde_json::to_writer(&mut frame, message)?;
    let length = u32::try_from(frame.len() - 4).map_err(io::Error::other)?;
    frame[..4].copy_from_slice(&length.to_be_bytes());
    Ok(frame)
}

/// Every frame until the other side is gone or says nonsense.
pub(crate) fn frames<T: DeserializeOwned>(mut from: impl Read) -> impl Iterator<Item = T> {
    std::iter::from_fn(move || read(&mut from).ok())
}

fn read<T: DeserializeOwned>(from: &mut impl Read) -> io::Result<T> {
    let mut length = [0; 4];
    from.read_exact(&mut length)?;
    let length = u32::from_be_bytes(length);
    if length > LONGEST {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut text = vec![0; length as usize];
    from.read_exact(&mut text)?;
    Ok(serde_json::from_slice(&text)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_read_until_the_end_or_the_first_torn_one() {
        let reports = [
            Report::Refused(Some(2)),
            Report::Ended {
                status: 9,
                expired: true,
            },
        ];
        let mut bytes = Vec::new();
        for report in &reports {
            bytes.extend(frame(report).expect("it is JSON"));
        }
        assert_eq!(frames::<Report>(&bytes[..]).collect::<Vec<_>>(), reports);
        let torn = &bytes[..bytes.len() - 1];
        assert_eq!(frames::<Report>(torn).count(), 1);
        assert_eq!(frames::<Report>(&[255; 9][..]).count(), 0);
    }
}
