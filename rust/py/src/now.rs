//! `Now` for Python: what time it is, read once for each chunk of a socket and not once for each use.

use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;

/// The time as of the last [`Now::refresh`]; Python's `Wheel` is one.
#[pyclass(module = "voltgate._core", subclass)]
pub struct Now {
    #[pyo3(get, name = "read")]
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

fn read(clock: &Py<PyAny>, py: Python<'_>) -> PyResult<f64> {
    clock.call0(py)?.extract(py)
}

#[pymethods]
impl Now {
    #[new]
    fn new(py: Python<'_>, monotonic: Py<PyAny>, wall: Py<PyAny>) -> PyResult<Self> {
        let offset = read(&wall, py)? - read(&monotonic, py)?;
        let mut me = Self { monotonic, wall, offset, seconds: 0.0, time_ms: 0 };
        me.set(read(&me.monotonic, py)?);
        Ok(me)
    }

    /// Reads the clock; nothing may be borrowed.
    pub fn refresh(slf: &Bound<'_, Self>) -> PyResult<()> {
        let monotonic = slf.borrow().monotonic.clone_ref(slf.py());
        let seconds = read(&monotonic, slf.py())?;
        slf.borrow_mut().set(seconds);
        Ok(())
    }

    fn follow(slf: &Bound<'_, Self>) -> PyResult<()> {
        let py = slf.py();
        let (monotonic, wall) = {
            let me = slf.borrow();
            (me.monotonic.clone_ref(py), me.wall.clone_ref(py))
        };
        let offset = read(&wall, py)? - read(&monotonic, py)?;
        slf.borrow_mut().offset = offset;
        Self::refresh(slf)
    }

    /// Clocks of tests are functions of what has this one.
    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.monotonic)?;
        visit.call(&self.wall)
    }
}

impl Now {
    #[allow(clippy::cast_possible_truncation, reason = "milliseconds of this epoch")]
    fn set(&mut self, seconds: f64) {
        (self.seconds, self.time_ms) = (seconds, ((seconds + self.offset) * 1000.0) as i64);
    }
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Now>()
}
