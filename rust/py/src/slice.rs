//! `Slicer` for Python: a connection's bytes in, frames and raw bytes out.

use std::panic::{AssertUnwindSafe, catch_unwind};

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
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

    fn feed<'py>(&mut self, data: &Bound<'py, PyBytes>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let py = data.py();
        let (codec, slicer) = (self.codec.get(), &mut self.slicer);
        let sink = |piece: Piece<'_>| match piece {
            Piece::Text(text) => {
                Ok(codec.judge(unmasked(py, text)?, Sender::Charger).into_pyobject(py)?.into_any())
            }
            Piece::Raw(raw) => Ok(PyBytes::new(py, raw).into_any()),
        };
        catch_unwind(AssertUnwindSafe(|| slicer.feed(data.as_bytes(), sink)))
            .unwrap_or_else(|_| {
                slicer.end();
                Some(Err(PyRuntimeError::new_err("the slicer failed")))
            })
            .transpose()
    }

    fn hold(&mut self, data: &[u8]) {
        self.slicer.hold(data);
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
