//! `Slicer` for Python: a connection's bytes in, frames and raw bytes out.

use std::panic::{AssertUnwindSafe, catch_unwind};

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList};
use voltgate_core::actions::Sender;
use voltgate_core::slice::{self, Masked, Piece};

use crate::codec::Codec;

/// Splits one connection's bytes into whole frames.
#[pyclass(module = "voltgate._core")]
pub struct Slicer {
    codec: Py<Codec>,
    slicer: slice::Slicer,
}

#[pymethods]
impl Slicer {
    #[new]
    const fn new(codec: Py<Codec>, max_message_bytes: u32) -> Self {
        Self { codec, slicer: slice::Slicer::new(max_message_bytes) }
    }

    fn feed<'py>(&mut self, data: &Bound<'py, PyBytes>) -> PyResult<Bound<'py, PyList>> {
        let py = data.py();
        let (codec, slicer) = (self.codec.get(), &mut self.slicer);
        let pieces = PyList::empty(py);
        let sink = |piece: Piece<'_>| match piece {
            Piece::Text(text) => pieces.append(codec.judge(unmasked(py, text)?, Sender::Charger)),
            Piece::Raw(raw) => pieces.append(PyBytes::new(py, raw)),
        };
        catch_unwind(AssertUnwindSafe(|| slicer.feed(data.as_bytes(), sink))).unwrap_or_else(|_| {
            slicer.end();
            Err(PyRuntimeError::new_err("the slicer failed"))
        })?;
        Ok(pieces)
    }

    #[getter]
    const fn unfinished(&self) -> usize {
        self.slicer.unfinished()
    }
}

fn unmasked<'py>(py: Python<'py>, text: Masked<'_>) -> PyResult<Bound<'py, PyBytes>> {
    PyBytes::new_with(py, text.len(), |plain| {
        text.unmask(plain);
        Ok(())
    })
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Slicer>()
}
