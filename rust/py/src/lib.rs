//! The module `voltgate._core`: argument lists, one call into `voltgate-core` each, one error map.
//!
//! `codec` binds decoding, validating and encoding; `version` what differs between versions; `slice` the way
//! from a socket's bytes to frames; `publish` tokens, keys and NATS messages.

use pyo3::prelude::*;

mod codec;
mod publish;
mod slice;
mod version;

#[pymodule]
fn _core(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    codec::register(module)?;
    publish::register(module)?;
    slice::register(module)?;
    version::register(module)
}
