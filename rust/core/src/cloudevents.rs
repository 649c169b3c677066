//! The `ce-*` attributes of a connection's messages (`CloudEvents` 1.0, NATS binding; docs/contract.md 3.3).

use crate::hpub::{Command, push_number, push_time};
use crate::token::push_attribute;

/// The attributes that differ between two messages of one connection.
#[derive(Clone, Copy, Debug)]
pub struct Stamp<'a> {
    /// Makes `ce-id` unique within the session.
    pub count: u64,
    /// `ce-time`, milliseconds since the Unix epoch.
    pub time_ms: i64,
    /// The reply subject; `""`: no reply is expected.
    pub reply: &'a str,
    /// The text of `traceparent`; `""` leaves the header out.
    pub traceparent: &'a str,
}

/// The attributes of one connection, escaped once: three byte strings between the varying parts.
#[derive(Debug)]
pub(crate) struct CloudEvents {
    /// Up to the count in `ce-id`.
    id: Vec<u8>,
    /// From there to the kind in `ce-type`.
    source: Vec<u8>,
    /// From there to `ce-time`.
    time: Vec<u8>,
}

impl CloudEvents {
    /// The attributes of a `session`; `token` belongs to the `identity`, `version` is a version token.
    pub fn new(version: &str, identity: &str, token: &str, session: &str) -> Self {
        let mut id = b"ce-specversion: 1.0\r\nce-id: ".to_vec();
        push_attribute(&mut id, session);
        id.push(b'/');
        let source = format!("\r\nce-source: /chargers/{token}\r\nce-type: ocpp.{version}.").into_bytes();
        let mut time = b"\r\nce-subject: ".to_vec();
        push_attribute(&mut time, identity);
        time.extend_from_slice(b"\r\nce-time: ");
        Self { id, source, time }
    }

    /// Writes all attributes: the last part of `ce-type`, and the type of the body; then `traceparent`.
    pub fn write(&self, out: &mut Command, kind: &str, stamp: &Stamp, content: &str) {
        out.bytes(&self.id);
        push_number(out.buffer(), stamp.count);
        out.bytes(&self.source);
        out.bytes(kind.as_bytes());
        out.bytes(&self.time);
        push_time(out.buffer(), stamp.time_ms);
        out.bytes(b"\r\nce-datacontenttype: ");
        out.bytes(content.as_bytes());
        out.bytes(b"\r\n");
        if !stamp.traceparent.is_empty() {
            out.line("traceparent", stamp.traceparent);
        }
    }
}
