//! `Now` for Python: what time it is, read once for each chunk of a socket and not once for each use.

use pyo3::prelude::*;

/// The time as of the last [`Now::refresh`]; Python's `Wheel` is one.
#[pyclass(module = "voltgate._core", subclass)]
pub struct Now {
    monotonic: Py<PyAny>,
    wall: Py<PyAny>,
    /// Seconds from the monotonic clock to the Unix epoch's.
    offset: f64,
    /// By the monotonic clock.
    #[pyo3(get, set, name = "now")]
    pub seconds: f64,
    /// Of the Unix epoch.
    #[pyo3(get, set)]
    pub time_ms: i64,
}

#[pymethods]
impl Now {
    #[new]
    fn new(monotonic: Py<PyAny>, wall: Py<PyAny>) -> Self {
        Self { monotonic, wall, offset: 0.0, seconds: 0.0, time_ms: 0 }
    }

    /// Reads the clock.
    pub fn refresh(slf: &Bound<'_, Self>) -> PyResult<()> {
        let py = slf.py();
        let monotonic = slf.borrow().monotonic.clone_ref(py);
        let now = monotonic.call0(py)?.extract::<f64>(py)?;
        let mut me = slf.borrow_mut();
        me.seconds = now;
        #[allow(clippy::cast_possible_truncation, reason = "milliseconds of this epoch")]
        (me.time_ms = ((now + me.offset) * 1000.0) as i64);
        Ok(())
    }

    /// Follows the wall clock, which may have been set.
    fn follow(slf: &Bound<'_, Self>) -> PyResult<()> {
        let py = slf.py();
        let (monotonic, wall) = {
            let me = slf.borrow();
            (me.monotonic.clone_ref(py), me.wall.clone_ref(py))
        };
        let offset = wall.call0(py)?.extract::<f64>(py)? - monotonic.call0(py)?.extract::<f64>(py)?;
        slf.borrow_mut().offset = offset;
        Self::refresh(slf)
    }
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Now>()
}
