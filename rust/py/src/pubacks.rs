//! `PubAcks` for Python: the bytes of a connection to NATS in, `PubAcks` and the rest out.

use pyo3::prelude::*;
use pyo3::types::PyBytes;
use voltgate_core::pubacks;

use crate::lane::Lane;
use crate::outgoing::{Outgoing, Owner};
use crate::publish::Inbox;

/// Counter, stream, domain, sequence, whether it is a duplicate, body.
type Taken<'py> = (u64, String, String, u64, bool, Bound<'py, PyBytes>);

/// Takes the `PubAcks` of one inbox out of the bytes of one connection.
#[pyclass(module = "voltgate._core")]
pub struct PubAcks {
    stream: pubacks::PubAcks,
    /// Whose lanes are told at once.
    outgoing: Option<Py<Outgoing>>,
}

#[pymethods]
impl PubAcks {
    #[new]
    #[pyo3(signature = (inbox, id, outgoing = None))]
    fn new(inbox: &Inbox, id: u64, outgoing: Option<Py<Outgoing>>) -> Self {
        Self { stream: pubacks::PubAcks::new(inbox.0.clone(), id), outgoing }
    }

    fn begin(&mut self) {
        self.stream.begin();
    }

    #[pyo3(signature = (data, now = 0.0))]
    fn feed<'py>(
        slf: &Bound<'py, Self>,
        data: &Bound<'py, PyBytes>,
        now: f64,
    ) -> PyResult<(Vec<Taken<'py>>, Bound<'py, PyBytes>)> {
        let (py, mut taken, mut lanes) = (data.py(), Vec::new(), Vec::new());
        let rest = {
            let me = &mut *slf.borrow_mut();
            let mut outgoing = me.outgoing.as_ref().map(|outgoing| outgoing.borrow_mut(py));
            let rest = me.stream.feed(data.as_bytes(), |ack| {
                if let Some(lane) = outgoing.as_mut().and_then(|outgoing| of_lane(outgoing, &ack, now)) {
                    lanes.push((lane, ack.counter, ack.duplicate));
                    return;
                }
                let body = PyBytes::new(py, ack.body);
                let (stream, domain) = (ack.stream.to_owned(), ack.domain.to_owned());
                taken.push((ack.counter, stream, domain, ack.seq, ack.duplicate, body));
            });
            PyBytes::new(py, rest)
        };
        for (lane, counter, duplicate) in lanes {
            Lane::settle(lane.bind(py), counter, duplicate, now)?;
        }
        Ok((taken, rest))
    }

    #[getter]
    const fn more(&self) -> bool {
        self.stream.more()
    }
}

/// The lane that waits for `ack`, if it comes from the stream that keeps its message; it does not wait any more.
fn of_lane(outgoing: &mut Outgoing, ack: &pubacks::PubAck<'_>, now: f64) -> Option<Py<Lane>> {
    let outgoing = &mut outgoing.inner;
    let store = outgoing.stores.get(ack.counter)?;
    if !matches!(store.owner, Owner::Lane(_)) || !outgoing.streams.keep(store.tx, ack) {
        return None;
    }
    match outgoing.settle(ack.counter, now)?.owner {
        Owner::Lane(lane) => Some(lane),
        Owner::Ticket(_) => None,
    }
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<PubAcks>()
}
