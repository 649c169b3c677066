//! `Outgoing` for Python: what waits to be written to NATS, and what waits for its `PubAck`.

use pyo3::prelude::*;
use pyo3::types::PyBytes;
use voltgate_core::outbox::Pushed;
use voltgate_core::outgoing::{self, Streams};
use voltgate_core::stores::Store;

use crate::lane::Lane;
use crate::publish::Inbox;

/// Who is told what became of a publish.
pub enum Owner {
    /// The lane of a connection.
    Lane(Py<Lane>),
    /// Anybody else.
    Ticket(Py<PyAny>),
}

impl Owner {
    fn into_any(self) -> Py<PyAny> {
        match self {
            Self::Lane(lane) => lane.into_any(),
            Self::Ticket(ticket) => ticket,
        }
    }
}

/// What leaves this process for NATS.
#[pyclass(module = "voltgate._core")]
pub struct Outgoing {
    pub(crate) inner: outgoing::Outgoing<Owner>,
    /// Called when somebody has to decide when the outbox is written.
    due: Option<Py<PyAny>>,
}

impl Outgoing {
    /// Calls `due`; nothing may be borrowed.
    pub(crate) fn call_due(slf: &Bound<'_, Self>) -> PyResult<()> {
        let py = slf.py();
        let due = slf.borrow().due.as_ref().map(|due| due.clone_ref(py));
        due.map_or(Ok(()), |due| due.call0(py).map(|_| ()))
    }
}

#[pymethods]
impl Outgoing {
    #[new]
    fn new(inbox: &Inbox, tx: String, event: String, domain: String, bounds: Vec<f64>) -> Self {
        let streams = Streams { tx, event, domain };
        Self { inner: outgoing::Outgoing::new(inbox.0.clone(), streams, bounds), due: None }
    }

    fn on_due(&mut self, due: Py<PyAny>) {
        self.due = Some(due);
    }

    fn opened(&mut self, max_payload: usize, max_waiting: usize) {
        let outbox = &mut self.inner.outbox;
        (outbox.open, outbox.max_payload, outbox.max_waiting, outbox.written) =
            (true, max_payload, max_waiting, 0);
    }
    fn closed(&mut self) {
        self.inner.outbox.open = false;
        self.inner.outbox.take(|_| ());
    }
    #[setter]
    fn set_written(&mut self, bytes: usize) {
        self.inner.outbox.written = bytes;
    }
    #[getter]
    fn size(&self) -> usize {
        self.inner.outbox.len()
    }
    fn take<'py>(&mut self, py: Python<'py>) -> Bound<'py, PyBytes> {
        self.inner.outbox.take(|bytes| PyBytes::new(py, bytes))
    }
    fn send(slf: &Bound<'_, Self>, command: &[u8]) -> PyResult<bool> {
        let pushed = slf.borrow_mut().inner.outbox.push(command);
        if pushed == Pushed::Due {
            Self::call_due(slf)?;
        }
        Ok(pushed != Pushed::Refused)
    }
    fn add(slf: &Bound<'_, Self>, line: &[u8]) -> PyResult<()> {
        let pushed = slf.borrow_mut().inner.outbox.add(line);
        if pushed == Pushed::Due { Self::call_due(slf) } else { Ok(()) }
    }

    fn ticket(&mut self) -> (u64, String) {
        self.inner.counter += 1;
        (self.inner.counter, self.inner.inbox.subject(self.inner.counter))
    }
    fn put(&mut self, counter: u64, ticket: Py<PyAny>, command: &[u8], tx: bool, now: f64) {
        self.inner.stores.put(counter, Store::new(Owner::Ticket(ticket), command, tx, now));
    }
    fn command<'py>(&self, py: Python<'py>, counter: u64) -> Option<Bound<'py, PyBytes>> {
        self.inner.stores.get(counter).map(|store| PyBytes::new(py, &store.command))
    }
    fn sent(&self, counter: u64) -> Option<f64> {
        self.inner.stores.get(counter).map(|store| store.sent)
    }
    fn settle(&mut self, counter: u64, now: f64) -> Option<Py<PyAny>> {
        self.inner.settle(counter, now).map(|store| store.owner.into_any())
    }
    fn fail(&mut self, counter: u64) -> Option<(Py<PyAny>, bool)> {
        self.inner.stores.take(counter).map(|store| (store.owner.into_any(), store.tx))
    }
    fn fail_all(&mut self) -> Vec<Py<PyAny>> {
        self.inner.stores.take_all().into_iter().map(|store| store.owner.into_any()).collect()
    }
    fn overdue(&mut self, late: f64, silent: f64) -> (Vec<u64>, Vec<u64>) {
        self.inner.stores.overdue(late, silent)
    }
    #[getter]
    fn stores(&self) -> usize {
        self.inner.stores.len()
    }
    #[getter]
    fn tx_acks(&self) -> u64 {
        self.inner.tx_acks
    }
    fn ack_seconds(&mut self) -> (Vec<u64>, f64) {
        self.inner.ack_seconds.take()
    }
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Outgoing>()
}
