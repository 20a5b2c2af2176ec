//! How long an answer may take.

use crate::refusal::refusal;
use flux_core::host::{Host, within};
use std::future::Future;
use std::time::Duration;
use tonic::metadata::MetadataMap;
use tonic::{Code, Status};

/// For clients that do not say how long they wait.
const LONGEST: Duration = Duration::from_secs(30);

/// The answer, or the refusal when the client's deadline or the usual one passes.
pub(super) async fn within_deadline<A>(
    host: &dyn Host,
    metadata: &MetadataMap,
    work: impl Future<Output = Result<A, Status>>,
) -> Result<A, Status> {
    let wanted = metadata.get("grpc-timeout");
    let wanted = wanted.and_then(|value| timeout(value.to_str().ok()?));
    let limit = wanted.map_or(LONGEST, |wanted| {
        // A little earlier than the client gives up, so that it hears why.
        wanted
            .saturating_sub((wanted / 10).min(Duration::from_millis(10)))
            .min(LONGEST)
    });
    match within(host, limit, work).await {
        Some(answer) => answer,
        None => {
            let text = "not done within the deadline; whether a change took effect is not known";
            Err(refusal(Code::DeadlineExceeded, "DEADLINE", &[], text))
        }
    }
}

/// What the header of gRPC says: up to eight digits and a unit.
fn timeout(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.len() > 8 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let count: u64 = digits.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_secs(count * 3_600),
        "M" => Duration::from_secs(count * 60),
        "S" => Duration::from_secs(count),
        "m" => Duration::from_millis(count),
        "u" => Duration::from_micros(count),
        "n" => Duration::from_nanos(count),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::timeout;
    use std::time::Duration;

    #[test]
    fn a_timeout_is_read_as_grpc_writes_it() {
        assert_eq!(timeout("2S"), Some(Duration::from_secs(2)));
        assert_eq!(timeout("1H"), Some(Duration::from_secs(3_600)));
        assert_eq!(
            timeout("99999999m"),
            Some(Duration::from_millis(99_999_999))
        );
        for wrong in ["", "S", "1", "-1S", "+1S", "123456789S", "1s", "1\u{e9}"] {
            assert_eq!(timeout(wrong), None, "{wrong}");
        }
    }
}
