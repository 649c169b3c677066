//! `PubAcks` for Python: the bytes of a connection to NATS in, `PubAcks` and the rest out.

use pyo3::prelude::*;
use pyo3::types::PyBytes;
use voltgate_core::pubacks;

use crate::publish::Inbox;

/// Counter, stream, domain, sequence, whether it is a duplicate, body.
type Taken<'py> = (u64, String, String, u64, bool, Bound<'py, PyBytes>);

/// Takes the `PubAcks` of one inbox out of the bytes of one connection.
#[pyclass(module = "voltgate._core")]
pub struct PubAcks(pubacks::PubAcks);

#[pymethods]
impl PubAcks {
    #[new]
    fn new(inbox: &Inbox, id: u64) -> Self {
        Self(pubacks::PubAcks::new(inbox.0.clone(), id))
    }

    fn begin(&mut self) {
        self.0.begin();
    }

    fn feed<'py>(&mut self, data: &Bound<'py, PyBytes>) -> (Vec<Taken<'py>>, Bound<'py, PyBytes>) {
        let (py, mut taken) = (data.py(), Vec::new());
        let rest = self.0.feed(data.as_bytes(), |ack| {
            let body = PyBytes::new(py, ack.body);
            let (stream, domain) = (ack.stream.to_owned(), ack.domain.to_owned());
            taken.push((ack.counter, stream, domain, ack.seq, ack.duplicate, body));
        });
        let rest = PyBytes::new(py, rest);
        (taken, rest)
    }

    #[getter]
    const fn more(&self) -> bool {
        self.0.more()
    }
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<PubAcks>()
}
