//! Secrets in payloads, for Python (docs/contract.md 3.5).

use pyo3::prelude::*;
use pyo3::types::PyBytes;
use voltgate_core::secrets;

#[pyfunction]
fn may_hold_secrets(body: &[u8]) -> bool {
    secrets::may_hold_secrets(body)
}

#[pyfunction]
#[pyo3(signature = (body, quoted = false))]
fn masked(py: Python<'_>, body: &[u8], quoted: bool) -> Option<Py<PyBytes>> {
    secrets::masked(body, quoted).map(|shown| PyBytes::new(py, &shown).unbind())
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(may_hold_secrets, module)?)?;
    module.add_function(wrap_pyfunction!(masked, module)?)
}
