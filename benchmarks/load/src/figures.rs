//! What one phase counted, as a JSON line.

use std::time::Duration;

use serde_json::{Value, json};

#[derive(Default)]
pub struct Figures {
    pub sent: u64,
    pub answered: u64,
    pub wrong: u64,
    pub closed: u64,
    pub first_wrong: Option<String>,
    latencies: Vec<u32>,
}

impl Figures {
    pub fn answered(&mut self, latency: Duration) {
        self.answered += 1;
        self.latencies.push(u32::try_from(latency.as_micros()).unwrap_or(u32::MAX));
    }

    /// Counts a bad answer; the first one is kept for the report.
    pub fn wrong(&mut self, answer: &[u8]) {
        self.wrong += 1;
        self.first_wrong
            .get_or_insert_with(|| String::from_utf8_lossy(&answer[..answer.len().min(200)]).into_owned());
    }

    #[allow(clippy::cast_precision_loss)] // counts far below 2^52
    pub fn report(&mut self, connected: usize, seconds: Duration) -> Value {
        self.latencies.sort_unstable();
        json!({
            "connected": connected,
            "sent": self.sent,
            "answered": self.answered,
            "wrong": self.wrong,
            "first_wrong": self.first_wrong,
            "closed": self.closed,
            "p50_us": self.percentile(500),
            "p95_us": self.percentile(950),
            "p99_us": self.percentile(990),
            "max_us": self.percentile(1000),
            "seconds": seconds.as_secs_f64(),
            "per_second": self.answered as f64 / seconds.as_secs_f64(),
        })
    }

    fn percentile(&self, per_mille: usize) -> Option<u32> {
        let rank = (self.latencies.len() * per_mille).div_ceil(1000);
        self.latencies.get(rank.saturating_sub(1)).copied()
    }
}
