//! How long runs took.

use super::report::round;
use hdrhistogram::Histogram;
use serde_json::{Value, json};
use std::time::Duration;

/// Times of runs from submission to end, to a thousandth of each.
pub struct Latency(Histogram<u64>);

/// What is told of them.
const QUANTILES: [f64; 3] = [0.5, 0.99, 0.999];

impl Latency {
    /// Of no run yet.
    pub fn new() -> Latency {
        let hour = 3_600_000_000;
        Latency(
            Histogram::new_with_max(hour, 3).expect("an hour and three digits are within limits"),
        )
    }

    /// One more run; more than an hour counts as an hour.
    pub fn record(&mut self, time: Duration) {
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        self.0.saturating_record(micros);
    }

    /// p50, p99, p99.9 and the longest, in milliseconds.
    pub fn figures(&self) -> [f64; 4] {
        let [p50, p99, p999] = QUANTILES.map(|quantile| self.0.value_at_quantile(quantile));
        [p50, p99, p999, self.0.max()].map(|micros| round(micros as f64 / 1000.0, 3))
    }

    /// For programs.
    pub fn json(&self) -> Value {
        let [p50, p99, p999, max] = self.figures();
        json!({ "p50": p50, "p99": p99, "p99_9": p999, "max": max })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_the_recorded_times() {
        let mut latency = Latency::new();
        for millis in 1..=1000 {
            latency.record(Duration::from_millis(millis));
        }
        for (figure, expected) in latency.figures().iter().zip([500.0, 990.0, 999.0, 1000.0]) {
            assert!((figure / expected - 1.0).abs() < 0.002, "{figure} ms");
        }
    }
}
