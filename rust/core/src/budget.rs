//! What one charger may send (docs/contract.md 2.2): its CALLs, and the bytes that are stored for it.
//!
//! Each amount falls by its rate per second; above its burst the charger's socket is not read. Both may be
//! overdrawn by one message, so that a single large one never times out.

/// The limits of all chargers.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rates {
    /// `limits.calls_per_second`.
    pub calls: f64,
    /// `limits.calls_burst`.
    pub calls_burst: f64,
    /// `limits.stored_bytes_per_second`.
    pub stored: f64,
    /// `limits.stored_bytes_burst`.
    pub stored_burst: f64,
}

/// What one charger has spent and not regained yet: amounts, and the monotonic seconds they are of.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Budget {
    /// CALLs.
    pub calls: f64,
    /// When they were counted.
    pub calls_at: f64,
    /// Bytes.
    pub stored: f64,
    /// When they were counted.
    pub stored_at: f64,
}

impl Budget {
    /// Counts so many CALLs. Returns whether the charger has spent too much of either.
    pub fn count(&mut self, now: f64, calls: f64, rates: &Rates) -> bool {
        let used = self.calls - (now - self.calls_at) * rates.calls;
        self.calls = used.max(0.0) + calls;
        self.calls_at = now;
        self.calls > rates.calls_burst || self.stored > rates.stored_burst
    }

    /// Counts so many bytes.
    pub fn store(&mut self, now: f64, bytes: f64, rate: f64) {
        let used = self.stored - (now - self.stored_at) * rate;
        self.stored = used.max(0.0) + bytes;
        self.stored_at = now;
    }
}
