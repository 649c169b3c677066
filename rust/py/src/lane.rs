//! `Lane` for Python: a connection's bytes in; answers and facts out, and what is left for session and judge.
//!
//! A callback (the transport's `write`, the session, the connection) is called when nothing is borrowed: it may
//! call back.

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};

use pyo3::exceptions::{PyException, PyRuntimeError};
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use voltgate_core::actions::Sender;
use voltgate_core::lane::{self, Effects, Other, Road, Scratch};
use voltgate_core::seen::Mark;
use voltgate_core::slice::Masked;
use voltgate_core::trace::Trace;

use crate::codec::{Codec, Frame};
use crate::now::Now;
use crate::outgoing::{Outgoing, Owner};
use crate::plan::{Budget, Plan, TransactionKeys};
use crate::publish::Publisher;

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
    static ANSWERS: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// What a lane works with from [`Lane::begin`] on.
struct Way {
    publisher: Py<Publisher>,
    plan: Py<Plan>,
    outgoing: Py<Outgoing>,
    keys: Py<TransactionKeys>,
    budget: Py<Budget>,
    session: Py<PyAny>,
    write: Py<PyAny>,
    read: Py<PyAny>,
    /// What the session remembers of an answer that the lane has given.
    empty: Py<PyAny>,
}

/// Whom [`Lane::receive`] works for.
struct Listener {
    clock: Py<Now>,
    connection: Py<PyAny>,
}

/// One connection's CALLs.
#[pyclass(module = "voltgate._core")]
pub struct Lane {
    codec: Py<Codec>,
    latin1: bool,
    inner: lane::Lane<Py<PyAny>>,
    way: Option<Box<Way>>,
    listener: Option<Listener>,
    /// Whether what comes goes straight through; else the connection takes it.
    #[pyo3(get, set)]
    direct: bool,
    /// Monotonic seconds of the last whole frame, or when somebody else saw a sign of life.
    #[pyo3(get, set)]
    seen: f64,
}

type Piece<'py> = PyResult<Bound<'py, PyAny>>;

impl Lane {
    /// Takes `data` and what is held, and does what that has brought about.
    fn run<'py>(
        slf: &Bound<'py, Self>,
        data: &[u8],
        now: f64,
        time_ms: i64,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let mut effects = Effects { answers: ANSWERS.take(), ..Effects::default() };
        let found = {
            let mut me = slf.borrow_mut();
            let me = &mut *me;
            let next = || me.next(slf, data, now, time_ms, &mut effects);
            catch_unwind(AssertUnwindSafe(next)).unwrap_or_else(|_| {
                me.inner.end();
                Some(Err(PyRuntimeError::new_err("the lane failed")))
            })
        };
        if effects.due || effects.overdrawn || effects.live > 0 {
            Self::act(slf, &effects, now)?;
            effects.answers.clear();
        }
        ANSWERS.set(effects.answers);
        found.transpose()
    }

    fn next<'py>(
        &mut self,
        own: &Bound<'py, Self>,
        data: &[u8],
        now: f64,
        time_ms: i64,
        effects: &mut Effects,
    ) -> Option<Piece<'py>> {
        let py = own.py();
        let (codec, latin1) = (self.codec.get(), self.latin1);
        let sink = |other: Other<'_>| -> Piece<'py> {
            let frame = match other {
                Other::Raw(raw) => return Ok(PyBytes::new(py, raw).into_any()),
                Other::Text(text) => codec.judge(unmasked(py, text)?, Sender::Charger, latin1),
                Other::Message(plain, decoded) if latin1 && decoded.binary => {
                    codec.judge(PyBytes::new(py, plain), Sender::Charger, latin1)
                }
                Other::Message(plain, decoded) => codec.frame(PyBytes::new(py, plain), decoded),
            };
            Ok(frame.into_pyobject(py)?.into_any())
        };
        let before = self.inner.pieces();
        let found = SCRATCH.with_borrow_mut(|scratch| {
            let Some(way) = self.way.as_deref().filter(|_| !self.inner.gated()) else {
                return self.inner.next::<Owner, _>(data, &codec.codec, scratch, None, effects, sink);
            };
            let (publisher, mut plan) = (way.publisher.get(), way.plan.borrow_mut(py));
            let (mut outgoing, mut keys) = (way.outgoing.borrow_mut(py), way.keys.borrow_mut(py));
            let mut budget = way.budget.borrow_mut(py);
            let mut count = publisher.published();
            let road = Road {
                publisher: &publisher.publisher,
                published: &mut count,
                plan: &mut plan.0,
                budget: &mut budget.0,
                outgoing: &mut outgoing.inner,
                keys: &mut keys.0,
                now,
                time_ms,
            };
            let owner = || Owner::Lane(own.clone().unbind());
            let road = road.plan.open.then_some((road, &owner as &dyn Fn() -> Owner));
            let found = self.inner.next(data, &codec.codec, scratch, road, effects, sink);
            publisher.set_published(count);
            found
        });
        if self.inner.pieces() != before {
            self.seen = now;
        }
        found
    }

    /// Takes `data`, and tells the connection what is left of it for others.
    fn pass(
        slf: &Bound<'_, Self>,
        data: &Bound<'_, PyBytes>,
        clock: &Bound<'_, Now>,
        connection: &Py<PyAny>,
    ) -> PyResult<()> {
        Now::refresh(clock)?;
        let (now, time_ms) = {
            let clock = clock.borrow();
            (clock.seconds, clock.time_ms)
        };
        let piece = Self::feed(slf, data, now, time_ms)?;
        if piece.is_some() || !slf.borrow().idle() {
            connection.call_method1(slf.py(), "took", (piece,))?;
        }
        Ok(())
    }

    fn way(&self) -> PyResult<&Way> {
        self.way.as_deref().ok_or_else(|| PyRuntimeError::new_err("the lane has not begun, or has ended"))
    }

    /// Hands the answers to the transport, and tells others what they have to do.
    fn act(slf: &Bound<'_, Self>, effects: &Effects, now: f64) -> PyResult<()> {
        let py = slf.py();
        if effects.due {
            let outgoing = slf.borrow().way()?.outgoing.clone_ref(py);
            Outgoing::call_due(outgoing.bind(py))?;
        }
        if effects.live > 0 {
            let (write, read, plan) = {
                let me = slf.borrow();
                let way = me.way()?;
                (way.write.clone_ref(py), way.read.clone_ref(py), way.plan.clone_ref(py))
            };
            write.call1(py, (PyBytes::new(py, &effects.answers),))?;
            let took = read.call0(py)?.extract::<f64>(py)? - now;
            plan.borrow_mut(py).0.counts.seconds[2].observe(took, effects.live);
        }
        if effects.overdrawn {
            // Writing may have ended the conversation: the charger reads too slowly.
            let session = slf.borrow().way.as_ref().map(|way| way.session.clone_ref(py));
            session.map_or(Ok(()), |session| session.call_method0(py, "overdrawn").map(|_| ()))?;
        }
        Ok(())
    }

    /// The fact of `counter` is stored: answers the CALL that waits for it, and goes on with the session's.
    /// A fault of ours on the way of one charger ends its session: the others go on.
    pub(crate) fn settle(slf: &Bound<'_, Self>, counter: u64, duplicate: bool, now: f64) -> PyResult<()> {
        let Err(fault) = Self::answer(slf, counter, duplicate, now) else { return Ok(()) };
        let session = slf.borrow().way.as_ref().map(|way| way.session.clone_ref(slf.py()));
        session.map_or(Ok(()), |session| session.call_method1(slf.py(), "failed", (fault,)).map(|_| ()))
    }

    fn answer(slf: &Bound<'_, Self>, counter: u64, duplicate: bool, now: f64) -> PyResult<()> {
        let py = slf.py();
        let (write, answer, session) = {
            let mut me = slf.borrow_mut();
            let me = &mut *me;
            let Some(way) = &me.way else { return Ok(()) };
            let mut plan = way.plan.borrow_mut(py);
            let mut answer = lane::NO_ANSWER;
            let empty = || way.empty.clone_ref(py);
            let Some(answer) = me.inner.stored(&mut plan.0, counter, duplicate, now, empty, &mut answer)
            else {
                return Ok(());
            };
            let session = me.inner.gated().then(|| way.session.clone_ref(py));
            (way.write.clone_ref(py), PyBytes::new(py, answer), session)
        };
        write.call1(py, (answer,))?;
        session.map_or(Ok(()), |session| session.call_method0(py, "serve").map(|_| ()))
    }

    fn mark(&self, py: Python<'_>, frame: &Frame) -> Option<Mark> {
        let (way, raw) = (self.way.as_ref()?, frame.raw(py));
        let (id, action) = frame.decoded.message_id(raw).zip(frame.decoded.action(raw))?;
        let session = way.publisher.get().publisher.session();
        Some(Mark::of(session, &id, &action, frame.decoded.payload(raw)))
    }
}

#[pymethods]
impl Lane {
    #[new]
    #[pyo3(signature = (codec, max_message_bytes, latin1 = false))]
    fn new(codec: Py<Codec>, max_message_bytes: u32, latin1: bool) -> Self {
        let inner = lane::Lane::new(max_message_bytes);
        Self { codec, latin1, inner, way: None, listener: None, direct: false, seen: 0.0 }
    }

    fn listen(&mut self, clock: Py<Now>, connection: Py<PyAny>) {
        self.listener = Some(Listener { clock, connection });
    }

    fn receive(slf: &Bound<'_, Self>, data: &Bound<'_, PyBytes>) -> PyResult<()> {
        let py = slf.py();
        let (clock, connection, direct) = {
            let me = slf.borrow();
            let Some(Listener { clock, connection }) = &me.listener else { return Ok(()) };
            (clock.clone_ref(py), connection.clone_ref(py), me.direct)
        };
        let taken = if direct {
            Self::pass(slf, data, clock.bind(py), &connection)
        } else {
            connection.call_method1(py, "take", (data,)).map(|_| ())
        };
        taken.or_else(|fault| {
            if fault.is_instance_of::<PyException>(py) {
                connection.call_method1(py, "failed", (fault,)).map(|_| ())
            } else {
                Err(fault)
            }
        })
    }

    #[allow(clippy::too_many_arguments, reason = "once for each connection")]
    fn begin(
        &mut self,
        publisher: Py<Publisher>,
        plan: Py<Plan>,
        outgoing: Py<Outgoing>,
        keys: Py<TransactionKeys>,
        budget: Py<Budget>,
        session: Py<PyAny>,
        write: Py<PyAny>,
        read: Py<PyAny>,
        empty: Py<PyAny>,
    ) {
        let way = Way { publisher, plan, outgoing, keys, budget, session, write, read, empty };
        self.way = Some(Box::new(way));
    }

    fn feed<'py>(
        slf: &Bound<'py, Self>,
        data: &Bound<'py, PyBytes>,
        now: f64,
        time_ms: i64,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        slf.borrow_mut().inner.turn();
        Self::run(slf, data.as_bytes(), now, time_ms)
    }

    fn go_on<'py>(slf: &Bound<'py, Self>, now: f64, time_ms: i64) -> PyResult<Option<Bound<'py, PyAny>>> {
        Self::run(slf, b"", now, time_ms)
    }

    fn turn(&mut self) {
        self.inner.turn();
    }
    fn weigh(&mut self, size: usize) {
        self.inner.weigh(size);
    }
    #[getter]
    const fn spent(&self) -> bool {
        self.inner.spent()
    }
    #[getter]
    const fn idle(&self) -> bool {
        self.inner.slicer().unfinished() == 0 && !self.inner.spent()
    }
    #[getter]
    const fn pieces(&self) -> u64 {
        self.inner.pieces()
    }

    #[getter]
    fn trace(&self) -> PyResult<(u128, u64)> {
        let Trace { id, span } =
            Trace::of(self.way()?.publisher.get().publisher.session(), self.inner.pieces());
        Ok((id, span))
    }

    fn hold(&mut self, data: &[u8]) {
        self.inner.hold(data);
    }
    #[getter]
    fn front<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, self.inner.slicer().front())
    }
    #[getter]
    const fn unfinished(&self) -> usize {
        self.inner.slicer().unfinished()
    }

    #[getter]
    const fn open(&self) -> bool {
        self.inner.is_open()
    }
    fn gate(&mut self, closed: bool) {
        self.inner.gate(closed || self.way.is_none());
    }
    fn same(&self, py: Python<'_>, frame: &Frame) -> bool {
        let decoded = &frame.decoded;
        let action = decoded.known.filter(|(_, signed)| !signed).map(|(action, _)| action);
        self.inner.is_open()
            && decoded.kind == Some(2)
            && decoded.message_id(frame.raw(py)).is_some_and(|id| self.inner.is_same(&id, action))
    }
    fn remember(&mut self, py: Python<'_>, frame: &Frame, answer: Py<PyAny>) {
        if let Some(mark) = self.mark(py, frame) {
            self.inner.remember(mark, answer);
        }
    }
    fn recall(&self, py: Python<'_>, frame: &Frame) -> Option<Py<PyAny>> {
        self.inner.recall(self.mark(py, frame)?).map(|answer| answer.clone_ref(py))
    }

    fn stored(slf: &Bound<'_, Self>, counter: u64, duplicate: bool, now: f64) -> PyResult<()> {
        Self::settle(slf, counter, duplicate, now)
    }
    fn not_stored(slf: &Bound<'_, Self>) -> PyResult<()> {
        let session = slf.borrow().way.as_ref().map(|way| way.session.clone_ref(slf.py()));
        session.map_or(Ok(()), |session| session.call_method0(slf.py(), "not_stored").map(|_| ()))
    }
    fn end(&mut self) {
        self.inner.end();
        (self.way, self.listener) = (None, None);
    }

    /// The two refer to each other until the end: a connection that never had one can be collected.
    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        if let Some(Listener { clock, connection }) = &self.listener {
            visit.call(clock)?;
            visit.call(connection)?;
        }
        let Some(way) = &self.way else { return Ok(()) };
        visit.call(&way.session)?;
        visit.call(&way.write)?;
        visit.call(&way.read)
    }
}

fn unmasked<'py>(py: Python<'py>, text: Masked<'_>) -> PyResult<Bound<'py, PyBytes>> {
    PyBytes::new_with(py, text.len(), |plain| {
        text.unmask(plain);
        Ok(())
    })
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Lane>()
}
