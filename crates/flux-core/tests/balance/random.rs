//! Random numbers that are the same in every run.

/// `SplitMix64`.
pub struct Random(pub u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// From `low` up to, but not including, `high`.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.next() % (high - low).max(1)
    }

    /// Of `mean` on average: mostly less, now and then several times as much.
    pub fn around(&mut self, mean: u64) -> u64 {
        // The product of two even ones: skewed, and bounded by four times the mean.
        let part = |r: &mut Self| r.between(0, 2_001);
        1 + mean * part(self) * part(self) / 1_000_000
    }

    pub fn one_in(&mut self, cases: u64) -> bool {
        self.next().is_multiple_of(cases)
    }
}
