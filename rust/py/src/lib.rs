//! The module `voltgate._core`: argument lists, one call into `voltgate-core` each, one error map.
//!
//! `codec` binds decoding, validating and encoding; `version` the rules of versions; `lane` a charger's socket, `now`
//! the clock; `plan` what lanes share; `outgoing` and `pubacks` the connection to NATS; `publish` tokens, keys and NATS
//! messages; `secrets` what facts must not show.

use pyo3::prelude::*;

mod codec;
mod lane;
mod now;
mod outgoing;
mod plan;
mod pubacks;
mod publish;
mod secrets;
mod version;

#[pymodule]
fn _core(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    codec::register(module)?;
    lane::register(module)?;
    now::register(module)?;
    outgoing::register(module)?;
    plan::register(module)?;
    pubacks::register(module)?;
    publish::register(module)?;
    secrets::register(module)?;
    version::register(module)
}
