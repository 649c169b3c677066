//! The OCPP-J frame path of Voltgate, values in, values out.
//!
//! ```text
//! schema files -> schema -> tables -> codec (a version)
//!                                   |
//! socket -> slice -> envelope -> validate (payload, over the tokens of json) -> frame (Decoded)
//!                                                                                  |
//! socket <- encode <- results, errors, calls    publish (subject, token, key) -> NATS
//! ```
//! There is no Python, no I/O, no clock and no unsafe code in this crate.

pub mod actions;
pub mod cloudevents;
pub mod codec;
pub mod encode;
mod envelope;
pub mod fault;
mod format;
pub mod frame;
pub mod hpub;
pub mod inbox;
mod json;
pub mod key;
pub mod noted;
pub mod publish;
pub mod schema;
pub mod secrets;
pub mod slice;
mod tables;
mod text;
pub mod token;
mod validate;
pub mod version;
