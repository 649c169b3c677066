//! Whole NATS `HPUB` commands: subject, headers and body in one block (docs/contract.md 3.2, 3.3).
//!
//! ```text
//! HPUB ocpp.tx.v16.MeterValues.CP001 _INBOX.x.7 412 882\r\n   control line, written last into the room kept for it
//! NATS/1.0\r\nce-specversion: 1.0\r\n ... \r\n\r\n            headers
//! {"connectorId":1, ... }\r\n                                 the payload's own bytes
//! ```
//! A [`Publisher`] holds what never changes on a connection; the counter and the time come in from outside.

use crate::cloudevents::{CloudEvents, Stamp};
use crate::hpub::{Command, push_time};
use crate::key::{self, Message, Origin};
use crate::token::{ascii, push_header_value, token};
use crate::version::Version;

const JSON: &str = "application/json";
const REDACTED: &[u8] = b"ocpp-redacted: true\r\n";
const OCTETS: &str = "application/octet-stream";

/// The class of a fact: the second token of its subject (docs/contract.md 3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Money: deduplicated, stored, acknowledged.
    Tx,
    /// Stored and acknowledged.
    Event,
    /// Neither stored nor awaited.
    Live,
}

impl Class {
    /// All classes.
    pub const ALL: [Self; 3] = [Self::Tx, Self::Event, Self::Live];

    /// Its name in subjects and config.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tx => "tx",
            Self::Event => "event",
            Self::Live => "live",
        }
    }

    /// The class of a name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.name() == name)
    }
}

/// What a fact says beside its message.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tags<'a> {
    /// The text of `ocpp-violation`; `""` leaves the header out.
    pub violation: &'a str,
    /// The body without its secrets, where the payload has any (docs/contract.md 3.5).
    pub redacted: Option<&'a [u8]>,
}

/// A message that is asked.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// The message.
    pub message: &'a Message<'a>,
    /// `ocpp-key` of its fact.
    pub key: &'a str,
    /// `ocpp-deadline`, milliseconds since the Unix epoch.
    pub deadline_ms: i64,
    /// The text of `ocpp-violation`; `""` leaves the header out.
    pub violation: &'a str,
}

/// What was answered to a CALL.
#[derive(Clone, Copy, Debug)]
pub struct Answer<'a> {
    /// The action of the CALL.
    pub action: &'a str,
    /// The message id of the CALL.
    pub id: &'a str,
    /// `ocpp-key` of the CALL's fact.
    pub key: &'a str,
    /// The `Nats-Msg-Id` of the CALL's fact.
    pub nats_id: &'a str,
    /// The response payload.
    pub payload: &'a [u8],
    /// `gateway`, `backend` or `fallback`.
    pub by: &'a str,
    /// The CALLERROR code, or `""`.
    pub error_code: &'a str,
    /// The text of `ocpp-reply-violation`: what was wrong with a backend's reply; `""` leaves it out.
    pub reply_violation: &'a str,
}

/// A frame that was refused.
#[derive(Clone, Copy, Debug)]
pub struct Refusal<'a> {
    /// The message id, where it is readable.
    pub id: Option<&'a str>,
    /// The frame's bytes, or what was kept of them.
    pub raw: &'a [u8],
    /// The CALLERROR code.
    pub code: &'a str,
    /// The JSON pointer.
    pub pointer: &'a str,
    /// The sentence for a person.
    pub reason: &'a str,
    /// How much of `raw` is published; 0 is all of it.
    pub limit: usize,
    /// Whether `raw` is not what the charger sent, because that may hold a secret.
    pub redacted: bool,
    /// The size of a frame of which `raw` is the beginning; 0: `raw` is all of it.
    pub size: usize,
    /// Whether it came as Latin-1.
    pub latin1: bool,
}

/// The tag of what was not UTF-8.
fn latin1(out: &mut Command, came_so: bool) {
    if came_so {
        out.bytes(b"ocpp-latin1: true\r\n");
    }
}

/// The `Nats-Msg-Id` that a `tx` fact of this key and payload has.
#[must_use]
pub fn nats_id(key: &str, payload: &[u8]) -> String {
    ascii(key::nats_id(key.as_bytes(), payload).to_vec())
}

/// The constants of one connection, escaped once.
#[derive(Debug)]
pub struct Publisher {
    version: Version,
    token: String,
    session: String,
    fact_prefix: String,
    rpc_prefix: String,
    events: CloudEvents,
    session_line: Vec<u8>,
}

impl Publisher {
    /// A connection of `identity` in `version`, known by its `session` id.
    #[must_use]
    pub fn new(version: Version, identity: &str, session: &str, prefix: &str, rpc_prefix: &str) -> Self {
        let own = token(identity);
        let events = CloudEvents::new(version.token(), identity, &own, session);
        let mut session_line = b"ocpp-session: ".to_vec();
        push_header_value(&mut session_line, session);
        session_line.extend_from_slice(b"\r\n");
        Self {
            version,
            token: own,
            session: token(session),
            fact_prefix: prefix.to_owned(),
            rpc_prefix: rpc_prefix.to_owned(),
            events,
            session_line,
        }
    }

    /// The identity as a token.
    #[must_use]
    pub fn token(&self) -> &str {
        &self.token
    }

    /// The session id, escaped like a token.
    #[must_use]
    pub fn session(&self) -> &str {
        &self.session
    }

    /// Writes a message as a fact, and its key to `key`. Returns its `Nats-Msg-Id` where the class has one.
    pub fn fact(
        &self,
        out: &mut Command,
        class: Class,
        message: &Message,
        stamp: &Stamp,
        tags: Tags,
        key: &mut Vec<u8>,
    ) -> Option<[u8; 32]> {
        let body = tags.redacted.unwrap_or(message.payload);
        let subject = [&self.fact_prefix, class.name(), self.version.token(), message.action, &self.token];
        out.begin(&subject, stamp.reply, body.len());
        self.events.write(out, message.action, stamp, JSON);
        out.line("ocpp-message-id", message.id);
        out.bytes(&self.session_line);
        out.bytes(b"ocpp-key: ");
        key.clear();
        key::push_key(key, &self.origin(), message);
        out.bytes(key);
        out.bytes(b"\r\n");
        if !tags.violation.is_empty() {
            out.text("ocpp-violation", tags.violation);
        }
        if tags.redacted.is_some() {
            out.bytes(REDACTED);
        }
        latin1(out, message.latin1);
        let nats_id = (class == Class::Tx).then(|| key::nats_id(key, message.payload));
        if let Some(id) = &nats_id {
            out.bytes(b"Nats-Msg-Id: ");
            out.bytes(id);
            out.bytes(b"\r\n");
        }
        out.end(body);
        nats_id
    }

    /// Writes a message as a question.
    pub fn question(&self, out: &mut Command, question: &Question, stamp: &Stamp) {
        let Question { message, key, deadline_ms, violation } = *question;
        let subject = [&self.rpc_prefix, "ask", self.version.token(), message.action, &self.token];
        out.begin(&subject, stamp.reply, message.payload.len());
        self.events.write(out, message.action, stamp, JSON);
        self.ours(out, message.id, key);
        if !violation.is_empty() {
            out.text("ocpp-violation", violation);
        }
        latin1(out, message.latin1);
        out.bytes(b"ocpp-deadline: ");
        push_time(out.buffer(), deadline_ms);
        out.bytes(b"\r\n");
        out.end(message.payload);
    }

    /// Writes what was answered as a fact under `<Action>Response`.
    pub fn response(&self, out: &mut Command, class: Class, answer: &Answer, stamp: &Stamp) {
        let action = [answer.action, "Response"].concat();
        let subject = [&self.fact_prefix, class.name(), self.version.token(), &action, &self.token];
        out.begin(&subject, stamp.reply, answer.payload.len());
        self.events.write(out, &action, stamp, JSON);
        self.ours(out, answer.id, answer.key);
        out.line("ocpp-answered-by", answer.by);
        if !answer.error_code.is_empty() {
            out.text("ocpp-error-code", answer.error_code);
        }
        if !answer.reply_violation.is_empty() {
            out.text("ocpp-reply-violation", answer.reply_violation);
        }
        // An error or an empty fallback may be followed by the real answer: it must not take its place in
        // the window.
        let settles = answer.error_code.is_empty() && !(answer.by == "fallback" && answer.payload == b"{}");
        if class == Class::Tx && settles {
            out.bytes(b"Nats-Msg-Id: ");
            out.bytes(answer.nats_id.as_bytes());
            out.bytes(b"/response\r\n");
        }
        out.end(answer.payload);
    }

    /// Writes a refused frame. Its action, if any, is in the raw bytes and nowhere else: it may be free text.
    pub fn reject(&self, out: &mut Command, refusal: &Refusal, stamp: &Stamp) {
        let subject = [&self.fact_prefix, "reject", self.version.token(), &self.token];
        let kept = if refusal.limit == 0 { refusal.raw.len() } else { refusal.raw.len().min(refusal.limit) };
        let whole = refusal.raw.len().max(refusal.size);
        out.begin(&subject, stamp.reply, kept);
        self.events.write(out, "reject", stamp, OCTETS);
        if let Some(id) = refusal.id {
            out.line("ocpp-message-id", id);
        }
        out.bytes(&self.session_line);
        out.line("ocpp-error-code", refusal.code);
        // Always there: the empty pointer means the whole payload, or the envelope.
        out.text("ocpp-error-pointer", refusal.pointer);
        out.text("ocpp-error-reason", refusal.reason);
        if kept < whole {
            out.line("ocpp-reject-bytes", &whole.to_string());
        }
        latin1(out, refusal.latin1);
        if refusal.redacted {
            out.bytes(REDACTED);
        }
        out.end(&refusal.raw[..kept]);
    }

    fn origin(&self) -> Origin<'_> {
        Origin { version: self.version, token: &self.token, session: &self.session }
    }

    fn ours(&self, out: &mut Command, id: &str, key: &str) {
        out.line("ocpp-message-id", id);
        out.bytes(&self.session_line);
        out.line("ocpp-key", key);
    }
}
