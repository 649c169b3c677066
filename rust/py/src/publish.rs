//! Tokens, keys and NATS commands for Python (docs/contract.md 3.1-3.3).

use std::borrow::Cow;
use std::cell::RefCell;
use std::sync::atomic::{AtomicU64, Ordering};

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedStr;
use pyo3::types::PyBytes;
use voltgate_core::cloudevents::Stamp;
use voltgate_core::hpub::{Command, check_subject};
use voltgate_core::inbox;
use voltgate_core::key::{self, Message, Origin};
use voltgate_core::noted::Members;
use voltgate_core::publish::{self, Answer, Class, Question, Refusal, Tags};
use voltgate_core::token;

use crate::codec::{Frame, version_of};

thread_local! {
    /// The buffer for every command; Python gets a copy of the exact size.
    static COMMAND: RefCell<Command> = RefCell::default();
}

/// Passes the empty command to `write` and returns the result.
fn written<T>(py: Python<'_>, write: impl FnOnce(&mut Command) -> T) -> (Py<PyBytes>, T) {
    COMMAND.with_borrow_mut(|command| {
        let made = write(command);
        (PyBytes::new(py, command.as_bytes()).unbind(), made)
    })
}

fn refused(error: &(impl ToString + ?Sized)) -> PyErr {
    PyValueError::new_err(error.to_string())
}

fn class_of(name: &str) -> PyResult<Class> {
    Class::parse(name).ok_or_else(|| refused("unknown class: expected tx, event or live"))
}

#[pyfunction(name = "token")]
fn token_of(identity: &str) -> String {
    token::token(identity)
}

#[pyfunction(name = "identity")]
fn identity_of(token: &str) -> PyResult<String> {
    token::identity(token).map_err(|error| refused(&error))
}

#[pyfunction]
fn header_value(text: &str) -> String {
    token::header_value(text)
}

#[pyfunction(name = "publish")]
#[allow(clippy::needless_pass_by_value, reason = "PyO3 hands over what it extracted")]
fn publish_any(
    py: Python<'_>,
    subject: &str,
    reply: &str,
    headers: Vec<(PyBackedStr, PyBackedStr)>,
    payload: &[u8],
) -> PyResult<Py<PyBytes>> {
    let headers: Vec<_> = headers.iter().map(|(name, value)| (&**name, &**value)).collect();
    let (bytes, outcome) = written(py, |command| command.write(subject, reply, &headers, payload));
    outcome.map(|()| bytes).map_err(|error| refused(&error))
}

#[pyfunction]
fn subscribe(py: Python<'_>, subject: &str, queue: &str, id: u64) -> PyResult<Py<PyBytes>> {
    let (bytes, outcome) = written(py, |command| command.subscribe(subject, queue, id));
    outcome.map(|()| bytes).map_err(|error| refused(&error))
}

#[pyfunction]
fn unsubscribe(py: Python<'_>, id: u64) -> Py<PyBytes> {
    written(py, |command| command.unsubscribe(id)).0
}

/// The reply subjects of one process.
#[pyclass(frozen, module = "voltgate._core")]
pub struct Inbox(pub inbox::Inbox);

#[pymethods]
impl Inbox {
    #[new]
    fn new(prefix: &str, key: [u8; 16]) -> PyResult<Self> {
        check_subject(prefix).map_err(|error| refused(&error))?;
        let word = |at: usize| u64::from_le_bytes(std::array::from_fn(|n| key[at + n]));
        Ok(Self(inbox::Inbox::new(prefix, [word(0), word(8)])))
    }

    fn subject(&self, counter: u64) -> String {
        self.0.subject(counter)
    }

    fn counter(&self, subject: &[u8]) -> Option<u64> {
        self.0.counter(subject)
    }
}

#[pyfunction(name = "key")]
fn key_of(
    version: &str,
    action: &str,
    identity: &str,
    session: &str,
    message_id: &str,
    payload: &[u8],
) -> PyResult<String> {
    let (version, token, session) = (version_of(version)?, token::token(identity), token::token(session));
    let origin = Origin { version, token: &token, session: &session };
    Ok(key::key(&origin, &Message::new(action, message_id, payload)))
}

/// A fact ready to be published.
#[pyclass(frozen, module = "voltgate._core")]
pub struct Fact {
    hpub: Py<PyBytes>,
    /// ASCII.
    key: Vec<u8>,
    /// Computed immediately only for class `tx`: hashing costs as much as the rest of the work.
    nats_id: Option<[u8; 32]>,
    class: Class,
    frame: Py<Frame>,
    /// The text of `ocpp-violation`.
    violation: String,
}

#[pymethods]
impl Fact {
    #[getter]
    fn hpub(&self, py: Python<'_>) -> Py<PyBytes> {
        self.hpub.clone_ref(py)
    }
    #[getter]
    pub(crate) fn key(&self) -> &str {
        std::str::from_utf8(&self.key).unwrap_or_default()
    }
    #[getter]
    pub(crate) fn nats_id(&self, py: Python<'_>) -> Cow<'_, str> {
        if let Some(id) = &self.nats_id {
            return Cow::Borrowed(std::str::from_utf8(id).unwrap_or_default());
        }
        let frame = self.frame.get();
        Cow::Owned(publish::nats_id(self.key(), frame.decoded.payload(frame.raw(py))))
    }
}

/// The attributes of an answer, independent of its Python class.
#[derive(FromPyObject)]
struct Answered<'py> {
    by: PyBackedStr,
    payload: Bound<'py, PyBytes>,
    code: PyBackedStr,
    reply_violation: PyBackedStr,
}

/// The attributes of a violation, whether the core or the gateway found it.
#[derive(FromPyObject)]
struct Why {
    code: PyBackedStr,
    pointer: PyBackedStr,
    reason: PyBackedStr,
}

/// The parts of a frame that become part of a subject.
struct Call<'a> {
    action: Cow<'a, str>,
    id: Cow<'a, str>,
    payload: &'a [u8],
    members: Members<'a>,
    latin1: bool,
}

impl<'a> Call<'a> {
    fn of(py: Python<'a>, frame: &'a Frame) -> PyResult<Self> {
        let (raw, decoded) = (frame.raw(py), &frame.decoded);
        let known = decoded.known.and_then(|_| decoded.action(raw)).zip(decoded.message_id(raw));
        // An unknown action must not become part of a subject (docs/contract.md 3.2).
        let (action, id) = known.ok_or_else(|| refused("the frame is not a message with a known action"))?;
        Ok(Self {
            action,
            id,
            payload: decoded.payload(raw),
            members: decoded.members(raw),
            latin1: decoded.latin1,
        })
    }

    fn message(&self) -> Message<'_> {
        let (action, id, latin1) = (&*self.action, &*self.id, self.latin1);
        Message { action, id, payload: self.payload, members: self.members, latin1 }
    }
}

/// Writes one connection's NATS commands.
#[pyclass(frozen, module = "voltgate._core")]
pub struct Publisher {
    pub(crate) publisher: publish::Publisher,
    count: AtomicU64,
}

impl Publisher {
    /// The number of the next message.
    pub(crate) fn published(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    pub(crate) fn set_published(&self, count: u64) {
        self.count.store(count, Ordering::Relaxed);
    }

    fn stamp<'a>(&self, time_ms: i64, reply: &'a str, traceparent: &'a str) -> PyResult<Stamp<'a>> {
        if !reply.is_empty() {
            check_subject(reply).map_err(|error| refused(&error))?;
        }
        Ok(Stamp { count: self.count.fetch_add(1, Ordering::Relaxed), time_ms, reply, traceparent })
    }
}

#[pymethods]
#[allow(clippy::needless_pass_by_value, reason = "PyO3 hands over what it extracted")]
impl Publisher {
    #[new]
    #[pyo3(signature = (version, identity, session, prefix = "ocpp", rpc_prefix = "ocpprpc"))]
    fn new(version: &str, identity: &str, session: &str, prefix: &str, rpc_prefix: &str) -> PyResult<Self> {
        for prefix in [prefix, rpc_prefix] {
            check_subject(prefix).map_err(|error| refused(&error))?;
        }
        let publisher = publish::Publisher::new(version_of(version)?, identity, session, prefix, rpc_prefix);
        Ok(Self { publisher, count: AtomicU64::new(1) })
    }

    #[getter]
    fn token(&self) -> &str {
        self.publisher.token()
    }

    #[getter]
    fn session(&self) -> &str {
        self.publisher.session()
    }

    #[pyo3(signature = (class_, frame, time_ms, reply, violation = "", redacted = None, traceparent = ""))]
    #[allow(clippy::too_many_arguments, reason = "keywords in Python")]
    fn fact(
        &self,
        py: Python<'_>,
        class_: &str,
        frame: &Bound<'_, Frame>,
        time_ms: i64,
        reply: &str,
        violation: &str,
        redacted: Option<&[u8]>,
        traceparent: &str,
    ) -> PyResult<Fact> {
        let (class, call) = (class_of(class_)?, Call::of(py, frame.get())?);
        let stamp = self.stamp(time_ms, reply, traceparent)?;
        let tags = Tags { violation, redacted };
        let mut key = Vec::new();
        let (hpub, nats_id) =
            written(py, |out| self.publisher.fact(out, class, &call.message(), &stamp, tags, &mut key));
        let (frame, violation) = (frame.clone().unbind(), violation.to_owned());
        Ok(Fact { hpub, key, nats_id, class, frame, violation })
    }

    #[pyo3(signature = (fact, time_ms, deadline_ms, reply, traceparent = ""))]
    fn question(
        &self,
        py: Python<'_>,
        fact: &Fact,
        time_ms: i64,
        deadline_ms: i64,
        reply: &str,
        traceparent: &str,
    ) -> PyResult<Py<PyBytes>> {
        let call = Call::of(py, fact.frame.get())?;
        let (key, violation) = (fact.key(), &*fact.violation);
        let question = Question { message: &call.message(), key, deadline_ms, violation };
        let stamp = self.stamp(time_ms, reply, traceparent)?;
        Ok(written(py, |out| self.publisher.question(out, &question, &stamp)).0)
    }

    #[pyo3(signature = (fact, answer, time_ms, reply, traceparent = ""))]
    fn response(
        &self,
        py: Python<'_>,
        fact: &Fact,
        answer: Answered,
        time_ms: i64,
        reply: &str,
        traceparent: &str,
    ) -> PyResult<Py<PyBytes>> {
        let call = Call::of(py, fact.frame.get())?;
        let nats_id = if fact.class == Class::Tx { fact.nats_id(py) } else { Cow::Borrowed("") };
        let answer = Answer {
            action: &call.action,
            id: &call.id,
            key: fact.key(),
            nats_id: &nats_id,
            payload: answer.payload.as_bytes(),
            by: &answer.by,
            error_code: &answer.code,
            reply_violation: &answer.reply_violation,
        };
        let stamp = self.stamp(time_ms, reply, traceparent)?;
        Ok(written(py, |out| self.publisher.response(out, fact.class, &answer, &stamp)).0)
    }

    #[pyo3(signature = (frame, raw, why, time_ms, reply, limit, size = 0, traceparent = ""))]
    #[allow(clippy::too_many_arguments, reason = "one reject fact")]
    fn reject(
        &self,
        frame: &Bound<'_, Frame>,
        raw: &[u8],
        why: Why,
        time_ms: i64,
        reply: &str,
        limit: usize,
        size: usize,
        traceparent: &str,
    ) -> PyResult<Py<PyBytes>> {
        let (py, frame) = (frame.py(), frame.get());
        let id = frame.decoded.message_id(frame.raw(py));
        let (code, pointer, reason) = (&*why.code, &*why.pointer, &*why.reason);
        let (redacted, latin1) = (raw != frame.raw(py), frame.decoded.latin1);
        let refusal =
            Refusal { id: id.as_deref(), raw, code, pointer, reason, limit, redacted, size, latin1 };
        let stamp = self.stamp(time_ms, reply, traceparent)?;
        Ok(written(py, |out| self.publisher.reject(out, &refusal, &stamp)).0)
    }
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Fact>()?;
    module.add_class::<Inbox>()?;
    module.add_class::<Publisher>()?;
    module.add_function(wrap_pyfunction!(token_of, module)?)?;
    module.add_function(wrap_pyfunction!(identity_of, module)?)?;
    module.add_function(wrap_pyfunction!(header_value, module)?)?;
    module.add_function(wrap_pyfunction!(publish_any, module)?)?;
    module.add_function(wrap_pyfunction!(subscribe, module)?)?;
    module.add_function(wrap_pyfunction!(unsubscribe, module)?)?;
    module.add_function(wrap_pyfunction!(key_of, module)?)
}
