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

/// The attributes of one connection, escaped once: three texts between the varying parts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CloudEvents<'a> {
    /// Up to the count in `ce-id`.
    pub id: &'a str,
    /// From there to the kind in `ce-type`.
    pub source: &'a str,
    /// From there to `ce-time`.
    pub time: &'a str,
}

impl CloudEvents<'_> {
    pub fn push_id(out: &mut Vec<u8>, session: &str) {
        out.extend_from_slice(b"ce-specversion: 1.0\r\nce-id: ");
        push_attribute(out, session);
        out.push(b'/');
    }

    /// `version` is a version token, `token` that of the identity.
    pub fn push_source(out: &mut Vec<u8>, version: &str, token: &str) {
        out.extend(format!("\r\nce-source: /chargers/{token}\r\nce-type: ocpp.{version}.").into_bytes());
    }

    pub fn push_time(out: &mut Vec<u8>, identity: &str) {
        out.extend_from_slice(b"\r\nce-subject: ");
        push_attribute(out, identity);
        out.extend_from_slice(b"\r\nce-time: ");
    }

    /// Writes all attributes: the last part of `ce-type`, and the type of the body; then `traceparent`.
    pub fn write(self, out: &mut Command, kind: &str, stamp: &Stamp, content: &str) {
        out.bytes(self.id.as_bytes());
        push_number(out.buffer(), stamp.count);
        out.bytes(self.source.as_bytes());
        out.bytes(kind.as_bytes());
        out.bytes(self.time.as_bytes());
        push_time(out.buffer(), stamp.time_ms);
        out.bytes(b"\r\nce-datacontenttype: ");
        out.bytes(content.as_bytes());
        out.bytes(b"\r\n");
        if !stamp.traceparent.is_empty() {
            out.line("traceparent", stamp.traceparent);
        }
    }
}
