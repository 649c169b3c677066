//! `Lane` for Python: a connection's bytes in; answers and facts out, and what is left for session and judge.
//!
//! A callback (the transport's `write`, the session) is called when nothing is borrowed: it may call back.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use voltgate_core::actions::Sender;
use voltgate_core::lane::{self, Effects, Other, Road, Scratch};
use voltgate_core::seen::Mark;
use voltgate_core::slice::Masked;

use crate::codec::{Codec, Frame};
use crate::outgoing::{Outgoing, Owner};
use crate::plan::{Budget, Plan, TransactionKeys};
use crate::publish::Publisher;

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
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

/// One connection's CALLs.
#[pyclass(module = "voltgate._core")]
pub struct Lane {
    codec: Py<Codec>,
    latin1: bool,
    lane: lane::Lane<Py<PyAny>>,
    way: Option<Box<Way>>,
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
        let mut effects = Effects::default();
        let found = {
            let mut me = slf.borrow_mut();
            let me = &mut *me;
            let next = || me.next(slf, data, now, time_ms, &mut effects);
            catch_unwind(AssertUnwindSafe(next)).unwrap_or_else(|_| {
                me.lane.end();
                Some(Err(PyRuntimeError::new_err("the lane failed")))
            })
        };
        if effects.due || effects.overdrawn || effects.live > 0 {
            Self::act(slf, &effects, now)?;
        }
        found.transpose()
    }

    fn next<'py>(
        &mut self,
        slf: &Bound<'py, Self>,
        data: &[u8],
        now: f64,
        time_ms: i64,
        effects: &mut Effects,
    ) -> Option<Piece<'py>> {
        let py = slf.py();
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
        let before = self.lane.pieces();
        let found = SCRATCH.with_borrow_mut(|scratch| {
            let Some(way) = self.way.as_deref().filter(|_| !self.lane.gated()) else {
                return self.lane.next::<Owner, _>(data, &codec.codec, scratch, None, effects, sink);
            };
            let (publisher, mut plan) = (way.publisher.get(), way.plan.borrow_mut(py));
            let (mut outgoing, mut keys) = (way.outgoing.borrow_mut(py), way.keys.borrow_mut(py));
            let mut budget = way.budget.borrow_mut(py);
            let mut published = publisher.published();
            let road = Road {
                publisher: &publisher.publisher,
                published: &mut published,
                plan: &mut plan.0,
                budget: &mut budget.0,
                outgoing: &mut outgoing.inner,
                keys: &mut keys.0,
                now,
                time_ms,
            };
            let own = || Owner::Lane(slf.clone().unbind());
            let road = road.plan.open.then_some((road, &own as &dyn Fn() -> Owner));
            let found = self.lane.next(data, &codec.codec, scratch, road, effects, sink);
            publisher.set_published(published);
            found
        });
        if self.lane.pieces() != before {
            self.seen = now;
        }
        found
    }

    #[cold]
    fn no_way() -> PyErr {
        PyRuntimeError::new_err("the lane has not begun, or has ended")
    }

    fn act(slf: &Bound<'_, Self>, effects: &Effects, now: f64) -> PyResult<()> {
        let py = slf.py();
        let [plan, outgoing, session, write, read] = {
            let me = slf.borrow();
            let way = me.way.as_deref().ok_or_else(Self::no_way)?;
            [way.plan.as_any(), way.outgoing.as_any(), &way.session, &way.write, &way.read]
                .map(|one| one.bind(py).clone())
        };
        if effects.due {
            Outgoing::call_due(outgoing.cast::<Outgoing>()?)?;
        }
        if effects.live > 0 {
            write.call1((PyBytes::new(py, &effects.answers),))?;
            let took = read.call0()?.extract::<f64>()? - now;
            plan.cast::<Plan>()?.borrow_mut().0.counts.seconds[2].observe(took, effects.live);
        }
        if effects.overdrawn {
            session.call_method0("overdrawn")?;
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
            let Some(answer) = me.lane.stored(&mut plan.0, counter, duplicate, now, empty, &mut answer) else {
                return Ok(());
            };
            let session = me.lane.gated().then(|| way.session.clone_ref(py));
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
        Self { codec, latin1, lane: lane::Lane::new(max_message_bytes), way: None, seen: 0.0 }
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
        slf.borrow_mut().lane.turn();
        Self::run(slf, data.as_bytes(), now, time_ms)
    }

    fn go_on<'py>(slf: &Bound<'py, Self>, now: f64, time_ms: i64) -> PyResult<Option<Bound<'py, PyAny>>> {
        Self::run(slf, b"", now, time_ms)
    }

    fn turn(&mut self) {
        self.lane.turn();
    }
    fn weigh(&mut self, size: usize) {
        self.lane.weigh(size);
    }
    #[getter]
    const fn spent(&self) -> bool {
        self.lane.spent()
    }
    #[getter]
    const fn idle(&self) -> bool {
        self.lane.slicer().unfinished() == 0 && !self.lane.spent()
    }
    #[getter]
    const fn pieces(&self) -> u64 {
        self.lane.pieces()
    }

    fn hold(&mut self, data: &[u8]) {
        self.lane.hold(data);
    }
    #[getter]
    fn front<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, self.lane.slicer().front())
    }
    #[getter]
    const fn unfinished(&self) -> usize {
        self.lane.slicer().unfinished()
    }

    #[getter]
    const fn open(&self) -> bool {
        self.lane.is_open()
    }
    fn gate(&mut self, closed: bool) {
        self.lane.gate(closed || self.way.is_none());
    }
    fn same(&self, py: Python<'_>, frame: &Frame) -> bool {
        let decoded = &frame.decoded;
        let action = decoded.known.filter(|(_, signed)| !signed).map(|(action, _)| action);
        self.lane.is_open()
            && decoded.kind == Some(2)
            && decoded.message_id(frame.raw(py)).is_some_and(|id| self.lane.is_same(&id, action))
    }
    fn remember(&mut self, py: Python<'_>, frame: &Frame, answer: Py<PyAny>) {
        if let Some(mark) = self.mark(py, frame) {
            self.lane.remember(mark, answer);
        }
    }
    fn recall(&self, py: Python<'_>, frame: &Frame) -> Option<Py<PyAny>> {
        self.lane.recall(self.mark(py, frame)?).map(|answer| answer.clone_ref(py))
    }

    fn stored(slf: &Bound<'_, Self>, counter: u64, duplicate: bool, now: f64) -> PyResult<()> {
        Self::settle(slf, counter, duplicate, now)
    }
    fn not_stored(slf: &Bound<'_, Self>) -> PyResult<()> {
        let session = slf.borrow().way.as_ref().map(|way| way.session.clone_ref(slf.py()));
        session.map_or(Ok(()), |session| session.call_method0(slf.py(), "not_stored").map(|_| ()))
    }
    fn end(&mut self) {
        self.lane.end();
        self.way = None;
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
