//! What the lanes of many chargers share, for Python: a plan with its counts, keys, budgets.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use voltgate_core::budget::{self, Rates};
use voltgate_core::counts;
use voltgate_core::plan::{self, Route, Stored};
use voltgate_core::publish::Class;
use voltgate_core::seen;
use voltgate_core::trace::Sampling;

use crate::codec::Codec;
use crate::publish::Fact;

/// Buckets and sum of a histogram.
type Seconds = (Vec<u64>, f64);

/// Which CALLs of a version the lane takes.
#[pyclass(module = "voltgate._core")]
pub struct Plan(pub(crate) plan::Plan);

#[pymethods]
impl Plan {
    #[new]
    #[allow(clippy::needless_pass_by_value, reason = "PyO3 hands over what it extracted")]
    fn new(codec: &Codec, bounds: Vec<f64>) -> Self {
        Self(plan::Plan::new(vec![Route::Session; codec.codec.entries().len()], &bounds))
    }

    fn live(&mut self, action: usize, clock: bool) -> PyResult<()> {
        self.route(action, Route::Live { clock })
    }

    fn stored(
        &mut self,
        action: usize,
        class_: &str,
        remembers: bool,
        keyed: bool,
        may_ask: bool,
    ) -> PyResult<()> {
        let class = Class::parse(class_)
            .filter(|class| *class != Class::Live)
            .ok_or_else(|| PyValueError::new_err("not a class that is stored"))?;
        self.route(action, Route::Stored(Stored { class, remembers, keyed, may_ask }))
    }

    fn limit(&mut self, open: bool, calls: f64, calls_burst: f64, stored: f64, stored_burst: f64) {
        self.0.open = open;
        self.0.rates = Rates { calls, calls_burst, stored, stored_burst };
    }

    const fn sample(&mut self, bound: u128, flags: u8) {
        self.0.sampling = Some(Sampling { bound, flags });
    }

    /// Received and answered by action; bytes in and out, duplicates of `tx` and `event`, conflicts; seconds.
    fn read(&mut self) -> (Vec<u64>, Vec<u64>, [u64; 5], [Seconds; 3]) {
        let counts = &mut self.0.counts;
        let mut others = [0; 5];
        std::mem::swap(&mut others[0], &mut counts.bytes_in);
        std::mem::swap(&mut others[1], &mut counts.bytes_out);
        others[2..4].swap_with_slice(&mut counts.duplicates);
        std::mem::swap(&mut others[4], &mut counts.conflicts);
        let seconds = [0, 1, 2].map(|class: usize| counts.seconds[class].take());
        (counts::take(&mut counts.received), counts::take(&mut counts.answered), others, seconds)
    }
}

impl Plan {
    fn route(&mut self, action: usize, route: Route) -> PyResult<()> {
        let place = self.0.routes.get_mut(action).ok_or_else(|| PyValueError::new_err("no such action"))?;
        *place = route;
        Ok(())
    }
}

/// What one charger has spent.
#[pyclass(subclass, module = "voltgate._core")]
#[derive(Default)]
pub struct Budget(pub(crate) budget::Budget);

#[pymethods]
impl Budget {
    #[new]
    fn new() -> Self {
        Self::default()
    }
    #[getter]
    const fn calls(&self) -> f64 {
        self.0.calls
    }
    #[getter]
    const fn calls_at(&self) -> f64 {
        self.0.calls_at
    }
    #[getter]
    const fn stored(&self) -> f64 {
        self.0.stored
    }
    #[setter]
    const fn set_calls(&mut self, value: f64) {
        self.0.calls = value;
    }
    #[setter]
    const fn set_stored(&mut self, value: f64) {
        self.0.stored = value;
    }
    #[getter]
    const fn stored_at(&self) -> f64 {
        self.0.stored_at
    }
    fn count(&mut self, now: f64, calls: f64, plan: &Plan) -> bool {
        self.0.count(now, calls, &plan.0.rates)
    }
    fn store(&mut self, now: f64, size: f64, per_second: f64) {
        self.0.store(now, size, per_second);
    }
}

/// The `TransactionEvent` keys of this process.
#[pyclass(module = "voltgate._core")]
#[derive(Default)]
pub struct TransactionKeys(pub(crate) seen::TransactionKeys);

#[pymethods]
impl TransactionKeys {
    #[new]
    fn new() -> Self {
        Self::default()
    }
    fn conflicts(&mut self, py: Python<'_>, fact: &Fact) -> bool {
        self.0.conflicts(fact.key().as_bytes(), fact.nats_id(py).as_bytes())
    }
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Plan>()?;
    module.add_class::<Budget>()?;
    module.add_class::<TransactionKeys>()
}
