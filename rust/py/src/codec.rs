//! `Codec`, `Frame` and `Violation` for Python (docs/contract.md 5).

use std::borrow::Cow;
use std::panic::{AssertUnwindSafe, catch_unwind};

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString};
use voltgate_core::actions::Sender;
use voltgate_core::codec::{self, Kind};
use voltgate_core::fault;
use voltgate_core::frame::Decoded;
use voltgate_core::version::Version;
use voltgate_core::{actions as table, encode};

use crate::version;

pub(crate) fn version_of(token: &str) -> PyResult<Version> {
    Version::of_token(token).map_err(|error| PyValueError::new_err(error.to_string()))
}

#[pyfunction]
fn actions(version: &str) -> PyResult<Vec<(&'static str, &'static str, &'static str, &'static str)>> {
    let row = |action: table::Action| {
        let sender = match action.sender {
            Sender::Charger => "charger",
            Sender::Csms => "csms",
            Sender::Both => "both",
        };
        (action.name, sender, action.class, action.answer)
    };
    Ok(table::actions(version_of(version)?).into_iter().map(row).collect())
}

#[pyfunction]
fn error_codes(version: &str) -> PyResult<Vec<&'static str>> {
    Ok(version_of(version)?.rules().error_codes.to_vec())
}

#[pyfunction]
fn error_code(version: &str, code: &str) -> PyResult<Option<&'static str>> {
    Ok(fault::error_code(version_of(version)?, code))
}

/// The violation of a frame or payload.
#[pyclass(frozen, module = "voltgate._core")]
pub struct Violation(pub(crate) fault::Violation);

#[pymethods]
impl Violation {
    #[getter]
    fn code(&self) -> &'static str {
        self.0.code
    }
    #[getter]
    fn pointer(&self) -> &str {
        &self.0.pointer
    }
    #[getter]
    fn reason(&self) -> &str {
        &self.0.reason
    }
    fn __repr__(&self) -> String {
        format!("Violation({:?}, {:?}, {:?})", self.0.code, self.0.pointer, self.0.reason)
    }
}

/// One decoded frame: its bytes, and the ranges of its parts.
#[pyclass(frozen, module = "voltgate._core")]
pub struct Frame {
    bytes: Py<PyBytes>,
    /// The interned name of a known action.
    action: Option<Py<PyString>>,
    pub(crate) decoded: Decoded,
}

impl Frame {
    /// The whole frame, to which the ranges in `decoded` refer.
    pub(crate) fn raw<'py>(&'py self, py: Python<'py>) -> &'py [u8] {
        self.bytes.as_bytes(py)
    }
}

#[pymethods]
impl Frame {
    #[getter]
    fn r#type(&self) -> Option<u8> {
        self.decoded.kind
    }
    #[getter]
    fn message_id<'py>(&'py self, py: Python<'py>) -> Option<Cow<'py, str>> {
        self.decoded.message_id(self.raw(py))
    }
    #[getter]
    fn action<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyString>> {
        match &self.action {
            Some(interned) => Some(interned.bind(py).clone()),
            None => Some(PyString::new(py, &self.decoded.action(self.raw(py))?)),
        }
    }
    #[getter]
    fn known(&self) -> bool {
        self.decoded.known.is_some()
    }
    #[getter]
    fn payload<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, self.decoded.payload(self.raw(py)))
    }
    #[getter]
    fn code<'py>(&'py self, py: Python<'py>) -> Option<Cow<'py, str>> {
        self.decoded.code(self.raw(py))
    }
    #[getter]
    fn description<'py>(&'py self, py: Python<'py>) -> Option<Cow<'py, str>> {
        self.decoded.description(self.raw(py))
    }
    #[getter]
    fn violation(&self) -> Option<Violation> {
        self.decoded.violation.as_deref().cloned().map(Violation)
    }
    #[getter]
    fn fatal(&self) -> Option<Violation> {
        self.decoded.fatal.as_deref().cloned().map(Violation)
    }
    /// The action of a CALL with a known action and without a violation.
    #[getter]
    fn plain<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyString>> {
        let plain = self.decoded.kind == Some(2) && self.decoded.violation.is_none();
        self.action.as_ref().filter(|_| plain).map(|action| action.bind(py).clone())
    }
    #[getter]
    fn size(&self, py: Python<'_>) -> usize {
        self.raw(py).len()
    }
    /// The whole frame, unchanged.
    #[getter(raw)]
    fn whole<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        self.bytes.bind(py).clone()
    }
    #[getter]
    fn is_text(&self) -> bool {
        !self.decoded.binary
    }
    #[getter]
    const fn latin1(&self) -> bool {
        self.decoded.latin1
    }
    #[getter]
    fn has_id_token(&self) -> bool {
        self.decoded.noted.id_token
    }
    #[getter]
    fn ends_online(&self, py: Python<'_>) -> bool {
        self.decoded.noted.ends_online(self.raw(py))
    }
}

/// One OCPP version.
#[pyclass(subclass, frozen, module = "voltgate._core")]
pub struct Codec {
    pub(crate) codec: codec::Codec,
    /// For each entry: its name, and its name with `-Signed`.
    names: Vec<[Py<PyString>; 2]>,
}

impl Codec {
    /// Decodes `frame`; never fails. With `latin1`, as Latin-1 where it is not UTF-8.
    pub(crate) fn judge(&self, frame: Bound<'_, PyBytes>, sender: Sender, latin1: bool) -> Frame {
        let foreign = latin1 && std::str::from_utf8(frame.as_bytes()).is_err();
        let frame = if foreign { from_latin1(&frame) } else { frame };
        let judge = || self.codec.decode(frame.as_bytes(), sender);
        let mut decoded =
            catch_unwind(AssertUnwindSafe(judge)).unwrap_or_else(|_| Decoded::failed(self.codec.version()));
        decoded.latin1 = foreign;
        self.frame(frame, decoded)
    }

    /// `frame`, which is decoded.
    pub(crate) fn frame(&self, frame: Bound<'_, PyBytes>, decoded: Decoded) -> Frame {
        let name = |(index, signed): (usize, bool)| &self.names[index][usize::from(signed)];
        let action = decoded.known.map(|known| name(known).clone_ref(frame.py()));
        Frame { bytes: frame.unbind(), action, decoded }
    }
}

/// Every byte is the character of that number (ISO/IEC 8859-1).
fn from_latin1<'py>(frame: &Bound<'py, PyBytes>) -> Bound<'py, PyBytes> {
    let text: String = frame.as_bytes().iter().map(|&byte| char::from(byte)).collect();
    PyBytes::new(frame.py(), text.as_bytes())
}

#[pymethods]
#[allow(clippy::unused_self, reason = "methods of a Python object, even if they use none of its fields")]
impl Codec {
    #[new]
    #[allow(clippy::needless_pass_by_value, reason = "PyO3 hands over what it extracted")]
    fn new(py: Python<'_>, version: &str, schemas: Vec<(String, Vec<u8>)>) -> PyResult<Self> {
        let version = version_of(version)?;
        let files = schemas.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice()));
        let codec =
            codec::Codec::new(version, files).map_err(|error| PyValueError::new_err(error.to_string()))?;
        let interned = |name: &str| PyString::intern(py, name).unbind();
        let both = |entry: &codec::Entry| [interned(entry.name), interned(&format!("{}-Signed", entry.name))];
        let names = codec.entries().iter().map(both).collect();
        Ok(Self { codec, names })
    }

    #[getter]
    const fn ocpp(&self) -> version::Version {
        version::Version(self.codec.version())
    }
    #[getter]
    fn subprotocol(&self) -> &'static str {
        self.codec.version().subprotocol()
    }
    #[getter]
    fn version(&self) -> &'static str {
        self.codec.version().token()
    }
    #[getter]
    fn nodes(&self) -> usize {
        self.codec.nodes()
    }

    /// Takes a frame apart and judges it; never raises for any bytes.
    #[pyo3(signature = (frame, sender = "charger", latin1 = false))]
    fn decode(&self, frame: Bound<'_, PyBytes>, sender: &str, latin1: bool) -> PyResult<Frame> {
        let sender = match sender {
            "charger" => Sender::Charger,
            "csms" => Sender::Csms,
            _ => return Err(PyValueError::new_err("the sender is neither charger nor csms")),
        };
        Ok(self.judge(frame, sender, latin1))
    }

    /// The first violation of a payload by the schema of its request or response, or None.
    fn check(&self, action: &str, kind: &str, payload: &[u8]) -> PyResult<Option<Violation>> {
        let kind = match kind {
            "request" => Kind::Request,
            "response" => Kind::Response,
            _ => return Err(PyValueError::new_err("the kind is neither request nor response")),
        };
        let judge = || self.codec.check(action, kind, payload);
        let verdict = catch_unwind(AssertUnwindSafe(judge))
            .unwrap_or_else(|_| Decoded::failed(self.codec.version()).violation.map(|violation| *violation));
        Ok(verdict.map(Violation))
    }

    /// `[2,id,action,payload]`: a websocket text frame, or its text alone.
    #[pyo3(signature = (message_id, action, payload, websocket = true))]
    fn encode_call<'py>(
        &self,
        py: Python<'py>,
        message_id: &str,
        action: &str,
        payload: &[u8],
        websocket: bool,
    ) -> Bound<'py, PyBytes> {
        encoded(py, &encode::call(message_id, action, payload), websocket)
    }
    /// `[3,id,payload]`, likewise.
    #[pyo3(signature = (message_id, payload, websocket = true))]
    fn encode_result<'py>(
        &self,
        py: Python<'py>,
        message_id: &str,
        payload: &[u8],
        websocket: bool,
    ) -> Bound<'py, PyBytes> {
        encoded(py, &encode::result(message_id, payload), websocket)
    }
    /// `[4,id,code,description,{}]`, likewise.
    #[pyo3(signature = (message_id, code, description, websocket = true))]
    fn encode_error<'py>(
        &self,
        py: Python<'py>,
        message_id: &str,
        code: &str,
        description: &str,
        websocket: bool,
    ) -> Bound<'py, PyBytes> {
        encoded(py, &encode::error(message_id, code, description), websocket)
    }
    /// `[5,id,code,description,{}]` (2.1), likewise.
    #[pyo3(signature = (message_id, code, description, websocket = true))]
    fn encode_result_error<'py>(
        &self,
        py: Python<'py>,
        message_id: &str,
        code: &str,
        description: &str,
        websocket: bool,
    ) -> Bound<'py, PyBytes> {
        encoded(py, &encode::result_error(message_id, code, description), websocket)
    }
}

/// `frame` for Python, or its text alone.
fn encoded<'py>(py: Python<'py>, frame: &[u8], websocket: bool) -> Bound<'py, PyBytes> {
    PyBytes::new(py, if websocket { frame } else { encode::text(frame) })
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Violation>()?;
    module.add_class::<Frame>()?;
    module.add_class::<Codec>()?;
    module.add_function(wrap_pyfunction!(actions, module)?)?;
    module.add_function(wrap_pyfunction!(error_codes, module)?)?;
    module.add_function(wrap_pyfunction!(error_code, module)?)
}
