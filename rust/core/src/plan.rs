//! Which CALLs of a version the lane may take, and what it counts about them. Made of the policy, outside.

use crate::budget::Rates;
use crate::counts::Histogram;
use crate::publish::Class;
use crate::trace::Sampling;

/// What the lane does with the CALLs of an action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// Nothing: the session takes them.
    Session,
    /// Publishes the fact and answers at once; `clock`: with the time (Heartbeat).
    Live {
        /// See above.
        clock: bool,
    },
    /// Answers `{}` when the fact is stored.
    Stored(Stored),
}

/// How a CALL is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stored {
    /// `Tx` or `Event`.
    pub class: Class,
    /// Repeats are answered from memory.
    pub remembers: bool,
    /// Its key may return with other bytes (`TransactionEvent`).
    pub keyed: bool,
    /// A backend answers where there is an idToken, or the transaction ends.
    pub may_ask: bool,
}

/// See the module.
#[derive(Debug)]
pub struct Plan {
    /// By the index of the action in [`entries`](crate::codec::Codec::entries).
    pub routes: Vec<Route>,
    /// Whether the lane may take anything: `limits.open_calls` leaves room behind the CALL that it holds.
    pub open: bool,
    /// The limits of all chargers.
    pub rates: Rates,
    /// Where tracing is on: the session takes CALLs whose trace is sampled.
    pub sampling: Option<Sampling>,
    /// What was counted.
    pub counts: Counts,
}

/// Numbers since they were read last; the fields with an `s` are by action.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    /// CALLs received.
    pub received: Vec<u64>,
    /// CALLs answered by the gateway.
    pub answered: Vec<u64>,
    /// Bytes of frames received.
    pub bytes_in: u64,
    /// Bytes of frames sent.
    pub bytes_out: u64,
    /// `PubAcks` that said duplicate, of class `tx` and `event`.
    pub duplicates: [u64; 2],
    /// Keys that returned with other bytes.
    pub conflicts: u64,
    /// CALL read to answer written, by class: `tx`, `event`, `live`.
    pub seconds: [Histogram; 3],
}

impl Plan {
    /// `bounds`: of the buckets of [`Counts::seconds`].
    #[must_use]
    pub fn new(routes: Vec<Route>, bounds: &[f64]) -> Self {
        let counts = Counts {
            received: vec![0; routes.len()],
            answered: vec![0; routes.len()],
            seconds: [(); 3].map(|()| Histogram::new(bounds.to_vec())),
            ..Counts::default()
        };
        Self { routes, open: true, rates: Rates::default(), sampling: None, counts }
    }
}
