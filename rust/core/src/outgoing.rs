//! What leaves for NATS: the counter of reply subjects, the bytes that wait to be written (`outbox`), the
//! publishes whose `PubAck` is awaited (`stores`), and what is counted about them. One per process.

use crate::counts::Histogram;
use crate::inbox::Inbox;
use crate::outbox::Outbox;
use crate::pubacks::PubAck;
use crate::stores::{Store, Stores};

/// The streams that keep what the lane publishes (docs/contract.md 3.7).
#[derive(Clone, Debug)]
pub struct Streams {
    /// Of class `tx`.
    pub tx: String,
    /// Of class `event`.
    pub event: String,
    /// `nats.domain`: the domain that both are in; `""` for any.
    pub domain: String,
}

impl Streams {
    /// Whether `ack` comes from the stream that keeps a message of class `tx`, or else `event`.
    #[must_use]
    pub fn keep(&self, tx: bool, ack: &PubAck<'_>) -> bool {
        let stream = if tx { &self.tx } else { &self.event };
        ack.stream == stream && (self.domain.is_empty() || ack.domain == self.domain)
    }
}

/// See the module. `T`: who is told what became of a publish.
#[derive(Debug)]
pub struct Outgoing<T> {
    /// The reply subjects.
    pub inbox: Inbox,
    /// Of the last reply subject.
    pub counter: u64,
    /// What waits to be written.
    pub outbox: Outbox,
    /// What waits for its `PubAck`.
    pub stores: Stores<T>,
    /// Who keeps what the lane publishes.
    pub streams: Streams,
    /// Publish to `PubAck`.
    pub ack_seconds: Histogram,
    /// `PubAcks` of class `tx` so far.
    pub tx_acks: u64,
}

impl<T> Outgoing<T> {
    /// Nothing leaves before the outbox is opened. `bounds`: of the buckets of [`Self::ack_seconds`].
    #[must_use]
    pub fn new(inbox: Inbox, streams: Streams, bounds: Vec<f64>) -> Self {
        let (outbox, stores) = (Outbox::default(), Stores::default());
        Self { inbox, counter: 0, outbox, stores, streams, ack_seconds: Histogram::new(bounds), tx_acks: 0 }
    }

    /// The publish of `counter` is stored.
    pub fn settle(&mut self, counter: u64, now: f64) -> Option<Store<T>> {
        let store = self.stores.take(counter)?;
        self.ack_seconds.observe(now - store.sent, 1);
        self.tx_acks += u64::from(store.tx);
        Some(store)
    }
}
