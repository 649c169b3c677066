//! The OCPP-J frame path of Voltgate, values in, values out.
//!
//! ```text
//! bytes -> frame (envelope) -> validate (payload, against the tables of schema) -> Decoded
//!                                                                                   |
//!        encode <- results, errors, calls          publish (subject, token, key) <--+
//! ```
//! No Python, no I/O, no clock and no unsafe code lives here.

pub mod actions;
pub mod hpub;
pub mod key;
mod members;
pub mod publish;
pub mod token;
pub mod version;
