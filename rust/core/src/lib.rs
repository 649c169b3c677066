//! The OCPP-J frame path of Voltgate, values in, values out.
//!
//! ```text
//! schema files -> schema -> tables -> codec (a version)
//!                                   |
//! socket -> slice -> envelope -> validate (payload, over the tokens of json) -> frame (Decoded)
//!                                                                                  |
//! socket <- encode <- results, errors, calls    publish (subject, token, key) -> outbox -> NATS
//! NATS -> pubacks -> stores (what waits for its PubAck)
//! lane: all of it in one call, for a plain CALL
//! ```
//! There is no Python, no I/O, no clock and no unsafe code in this crate.

pub mod actions;
pub mod budget;
pub mod cloudevents;
pub mod codec;
pub mod counts;
pub mod encode;
mod envelope;
pub mod fault;
mod format;
pub mod frame;
pub mod hpub;
pub mod inbox;
mod json;
pub mod key;
pub mod lane;
pub mod noted;
mod opened;
pub mod outbox;
pub mod outgoing;
pub mod plan;
pub mod pubacks;
pub mod publish;
mod road;
pub mod schema;
pub mod secrets;
pub mod seen;
pub mod slice;
pub mod stores;
mod tables;
mod text;
pub mod token;
pub mod trace;
mod validate;
pub mod version;
