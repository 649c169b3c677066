//! The module `voltgate._core`: argument lists, one call into `voltgate-core` each, one error map.
//!
//! `codec` binds decoding, validating and encoding; `version` the rules of versions; `slice`
//! frames from a socket's bytes; `publish` tokens, keys and NATS messages; `secrets` what facts must not show.

use pyo3::prelude::*;

mod codec;
mod publish;
mod secrets;
mod slice;
mod version;

#[pymodule]
fn _core(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    codec::register(module)?;
    publish::register(module)?;
    secrets::register(module)?;
    slice::register(module)?;
    version::register(module)
}
