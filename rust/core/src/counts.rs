//! What is counted on the frame path: plain numbers, taken out when somebody reads them.

/// How often a duration fell into each bucket, and the sum of all.
#[derive(Clone, Debug, Default)]
pub struct Histogram {
    bounds: Box<[f64]>,
    counts: Vec<u64>,
    sum: f64,
}

impl Histogram {
    /// `bounds` of the buckets in seconds, rising, without infinity.
    #[must_use]
    pub fn new(bounds: Vec<f64>) -> Self {
        Self { counts: vec![0; bounds.len() + 1], bounds: bounds.into(), sum: 0.0 }
    }

    /// Adds `times` observations of `seconds`.
    #[inline]
    pub fn observe(&mut self, seconds: f64, times: u32) {
        self.counts[self.bounds.partition_point(|bound| *bound < seconds)] += u64::from(times);
        self.sum += seconds * f64::from(times);
    }

    /// The counts and the sum since the last time.
    pub fn take(&mut self) -> (Vec<u64>, f64) {
        (take(&mut self.counts), std::mem::take(&mut self.sum))
    }
}

/// Numbers, which are 0 from now on.
pub fn take(counts: &mut [u64]) -> Vec<u64> {
    let taken = counts.to_vec();
    counts.fill(0);
    taken
}
