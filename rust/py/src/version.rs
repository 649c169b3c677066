//! The rules of a version as Python sees them.

use pyo3::prelude::*;
use pyo3::types::PyTuple;
use voltgate_core::version;

/// One OCPP version.
#[pyclass(frozen, module = "voltgate._core")]
pub struct Version(pub(crate) version::Version);

#[pymethods]
impl Version {
    #[getter]
    const fn token(&self) -> &'static str {
        self.0.rules().token
    }
    #[getter]
    const fn subprotocol(&self) -> &'static str {
        self.0.rules().subprotocol
    }
    #[getter]
    const fn signed(&self) -> bool {
        self.0.rules().signed
    }
    #[getter]
    const fn result_errors(&self) -> bool {
        self.0.rules().result_errors
    }
    #[getter]
    const fn answers_unknown_type(&self) -> bool {
        self.0.rules().answers_unknown_type
    }
    #[getter]
    const fn unknown_type_code(&self) -> &'static str {
        self.0.rules().codes.message_type
    }
    #[getter]
    const fn unreadable_id(&self) -> Option<&'static str> {
        self.0.rules().unreadable_id
    }
    #[getter]
    fn passes_while_pending<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, self.0.rules().passes_while_pending)
    }
    #[getter]
    const fn transaction_event(&self) -> bool {
        self.0.rules().transaction_event
    }
}

#[pyfunction]
fn versions() -> Vec<Version> {
    version::Version::ALL.map(Version).into()
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Version>()?;
    module.add_function(wrap_pyfunction!(versions, module)?)
}
