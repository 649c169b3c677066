//! What the lane works with in one call, and what it leaves for its caller to do.

use crate::budget::Budget;
use crate::cloudevents::Stamp;
use crate::frame::Decoded;
use crate::hpub::Command;
use crate::key::Message;
use crate::outbox::Pushed;
use crate::outgoing::Outgoing;
use crate::plan::Plan;
use crate::publish::{Class, Publisher, Tags};
use crate::seen::TransactionKeys;
use crate::slice::Masked;

/// What the lane works with in one call; all but the publisher belongs to several chargers.
#[derive(Debug)]
pub struct Road<'a, T> {
    /// The connection's constants, and the number of messages it has published.
    pub publisher: &'a Publisher,
    /// See [`Publisher`].
    pub published: &'a mut u64,
    /// Which CALLs are taken.
    pub plan: &'a mut Plan,
    /// The charger's.
    pub budget: &'a mut Budget,
    /// The way to NATS.
    pub outgoing: &'a mut Outgoing<T>,
    /// Of the process.
    pub keys: &'a mut TransactionKeys,
    /// Monotonic seconds.
    pub now: f64,
    /// Milliseconds since the Unix epoch.
    pub time_ms: i64,
}

impl<T> Road<'_, T> {
    /// Puts the fact of `call` into the outbox. `None`: NATS cannot take it, and nothing has changed.
    #[allow(clippy::option_option, reason = "the inner one is whether the class has such an id")]
    pub(crate) fn publish(
        &mut self,
        class: Class,
        call: &Call<'_>,
        reply: &str,
        command: &mut Command,
        key: &mut Vec<u8>,
        effects: &mut Effects,
    ) -> Option<Option<[u8; 32]>> {
        let (count, traceparent) = (*self.published, call.traceparent);
        let stamp = Stamp { count, time_ms: self.time_ms, reply, traceparent };
        let nats_id = self.publisher.fact(command, class, &call.message, &stamp, Tags::default(), key);
        match self.outgoing.outbox.push(command.as_bytes()) {
            Pushed::Refused => return None,
            Pushed::Due => effects.due = true,
            Pushed::Waits => {}
        }
        *self.published += 1;
        Some(nats_id)
    }
}

/// A sound CALL of a known action.
pub(crate) struct Call<'a> {
    pub action: usize,
    pub message: Message<'a>,
    /// Bytes of its message.
    pub size: usize,
    /// Of its facts; `""` where tracing is off.
    pub traceparent: &'a str,
}

/// Buffers that are used again and again.
#[derive(Debug, Default)]
pub struct Scratch {
    pub(crate) plain: Vec<u8>,
    pub(crate) command: Command,
    pub(crate) key: Vec<u8>,
    pub(crate) reply: Vec<u8>,
}

/// What the lane does not take.
#[derive(Debug)]
pub enum Other<'a> {
    /// A whole text message, for the session.
    Message(&'a [u8], Decoded),
    /// One that nobody has looked at: it is large, or the gate is closed.
    Text(Masked<'a>),
    /// For the judge of RFC 6455.
    Raw(&'a [u8]),
}

/// What a call has left behind for its caller to do.
#[derive(Debug, Default)]
pub struct Effects {
    /// Answers, for the socket.
    pub answers: Vec<u8>,
    /// How many of them are to CALLs of class `live`.
    pub live: u32,
    /// The outbox has to be looked after (`Pushed::Due`).
    pub due: bool,
    /// The charger has spent too much: its socket is to rest.
    pub overdrawn: bool,
}
