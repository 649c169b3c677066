//! The OCPP-J frame path of Voltgate, values in, values out.
//!
//! ```text
//! bytes -> frame (envelope) -> validate (payload, against the tables of schema) -> Decoded
//!                                                                                   |
//!        encode <- results, errors, calls          publish (subject, token, key) <--+
//! ```
//! No Python, no I/O, no clock and no unsafe code lives here.

pub mod actions;
pub mod codec;
pub mod encode;
pub mod fault;
mod format;
pub mod frame;
pub mod hpub;
mod json;
pub mod key;
mod members;
pub mod publish;
pub mod schema;
pub mod token;
mod validate;
pub mod version;
