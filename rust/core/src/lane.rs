//! The lane: a charger's plain CALLs, from the bytes of its socket to the bytes of their answers.
//!
//! Three things can happen to a frame:
//!
//! ```text
//!             bytes of the socket
//!                     |
//!                   slice ---- not a whole, masked text frame ----> the judge (websockets)
//!                     |
//!                   decode --- not a plain CALL, or the gate is ---> the session, which may
//!                     |        closed, or a CALL is open here        do anything
//!                     v
//!   the lane:  class live:      NATS command -> outbox, answer -> socket
//!              tx and event:    NATS command -> outbox and stores; open ... `PubAck` -> answer -> socket
//! ```
//!
//! A CALL is plain if it has no violation and an id without escapes, if its policy says that the gateway answers it
//! with `{}` or the time, if it is no repeat that is remembered, if it needs no spans, and if NATS can take it. Only
//! such CALLs are here, and at most one of them is open; whatever else a charger sends goes to the session as it came.
//!
//! Who decides what:
//! - The session has the authority. It closes the gate while it has CALLs of its own, while a command waits for the
//!   open CALL (quirk `half_duplex`), while a boot status holds them back, and before the connection ends. It is told
//!   when the open CALL of a closed gate is done, and then goes on with its queue. So all CALLs of a charger are
//!   answered in the order in which they came.
//! - The bus has the policy of stores: deadlines, what is sent again, what an outage means. Only a plain `PubAck`
//!   from the right stream is judged in the core; for everything else the bus looks up the command here.
//! - The budgets of a charger are counted where its CALLs are taken. An overdrawn one stops the turn, and the
//!   session lets the socket rest.
//! - A turn of the loop takes at most [`FRAMES`] frames and [`BYTES`] bytes; the rest waits as bytes in the slicer
//!   (docs/contract.md 2.2).
//!
//! What takes this way must leave the same traces as on the session's: bytes, facts, metrics. The session's way is
//! the specification, and `tests/gateway/session/test_lane.py` drives the same conversations along both.
//!
//! Values in, values out: time and the objects that several chargers share are arguments ([`Road`]), and what a
//! call has to write to the socket is returned as bytes, so nothing here is borrowed while a transport is written
//! to.

use crate::actions::Sender;
use crate::codec::Codec;
use crate::encode;
use crate::frame::Decoded;
use crate::hpub::push_time;
use crate::key::Message;
pub use crate::opened::NO_ANSWER;
use crate::opened::{ANSWER, Open, short_answer};
use crate::plan::{Plan, Route, Stored};
use crate::publish::Class;
use crate::road::Call;
pub use crate::road::{Effects, Other, Road, Scratch};
use crate::seen::{Answered, Mark};
use crate::slice::{Masked, Piece, Slicer};
use crate::stores::Store;
use crate::trace::{self, Trace};

/// What one connection may take of one turn of the loop, whichever comes first.
pub const FRAMES: usize = 64;
/// See [`FRAMES`].
pub const BYTES: usize = 65_536;
/// Bytes of a frame that counts towards `limits.max_buffered_bytes` until it is answered: the session holds it.
const LARGE: usize = 16_384;
const EMPTY: &[u8] = b"{}";

/// One connection. `A`: an answer that the session remembers.
#[derive(Debug)]
pub struct Lane<A> {
    slicer: Slicer,
    state: State<A>,
}

#[derive(Debug)]
struct State<A> {
    gated: bool,
    open: Option<Box<Open>>,
    answered: Answered<A>,
    /// What is left of this turn.
    frames: usize,
    bytes: usize,
    /// Frames so far.
    pieces: u64,
}

impl<A> Lane<A> {
    /// A connection of messages of at most `limit` bytes, whose gate is closed.
    #[must_use]
    pub fn new(limit: u32) -> Self {
        let answered = Answered::default();
        let state = State { gated: true, open: None, answered, frames: FRAMES, bytes: BYTES, pieces: 0 };
        Self { slicer: Slicer::new(limit), state }
    }

    /// The bytes that came.
    #[must_use]
    pub const fn slicer(&self) -> &Slicer {
        &self.slicer
    }

    /// Takes `data` and hands nothing on.
    pub fn hold(&mut self, data: &[u8]) {
        self.slicer.hold(data);
    }

    /// Nothing more counts: the conversation is over.
    pub fn end(&mut self) {
        self.slicer.end();
        self.state.open = None;
        self.state.gated = true;
    }

    /// Begins a turn of the loop.
    pub const fn turn(&mut self) {
        (self.state.frames, self.state.bytes) = (FRAMES, BYTES);
    }

    /// Counts `bytes` that a frame of this turn has brought beside its own.
    pub const fn weigh(&mut self, bytes: usize) {
        self.state.bytes = self.state.bytes.saturating_sub(bytes);
    }

    /// Whether this turn is used up.
    #[must_use]
    pub const fn spent(&self) -> bool {
        self.state.frames == 0 || self.state.bytes == 0
    }

    /// Whole frames so far: each is a sign of life.
    #[must_use]
    pub const fn pieces(&self) -> u64 {
        self.state.pieces
    }

    /// Whether the session holds the CALLs.
    #[must_use]
    pub const fn gated(&self) -> bool {
        self.state.gated
    }

    /// Closes the gate, or opens it.
    pub const fn gate(&mut self, closed: bool) {
        self.state.gated = closed;
    }

    /// Whether a CALL is open.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        self.state.open.is_some()
    }

    /// Whether the open CALL has this id and action.
    #[must_use]
    pub fn is_same(&self, id: &str, action: Option<usize>) -> bool {
        let same = |open: &Open| Some(open.action) == action && open.answer() == encode::result(id, EMPTY);
        self.state.open.as_deref().is_some_and(same)
    }

    /// Remembers an answer that the session has given.
    pub fn remember(&mut self, mark: Mark, answer: A) {
        self.state.answered.add(mark, answer);
    }

    /// The answer to the same message.
    #[must_use]
    pub fn recall(&self, mark: Mark) -> Option<&A> {
        self.state.answered.find(mark)
    }

    /// Takes `data` and what is held: plain CALLs, up to the first frame that is none, which goes to `sink`.
    /// `None`: no such frame is there, or the turn is used up, or the charger has spent too much.
    ///
    /// Without a `road` every message goes to `sink`; it is there unless `Plan::open` is false. Its second part
    /// makes the owner of a store: who is told that a fact is stored.
    #[inline]
    pub fn next<T, R>(
        &mut self,
        data: &[u8],
        codec: &Codec,
        scratch: &mut Scratch,
        mut road: Option<(Road<'_, T>, &dyn Fn() -> T)>,
        effects: &mut Effects,
        mut sink: impl FnMut(Other<'_>) -> R,
    ) -> Option<R> {
        let Self { slicer, state } = self;
        let mut data = data;
        while state.frames > 0 && state.bytes > 0 && !effects.overdrawn {
            let found = slicer.feed(data, |piece| {
                state.pieces += 1;
                state.frames -= 1;
                match piece {
                    Piece::Raw(raw) => {
                        state.bytes = state.bytes.saturating_sub(raw.len());
                        Some(sink(Other::Raw(raw)))
                    }
                    Piece::Text(text) => {
                        state.bytes = state.bytes.saturating_sub(text.len());
                        let Some((road, own)) = road.as_mut().filter(|_| state.may_take(&text)) else {
                            return Some(sink(Other::Text(text)));
                        };
                        let mut plain = std::mem::take(&mut scratch.plain);
                        plain.resize(text.len(), 0);
                        text.unmask(&mut plain);
                        let decoded = codec.decode(&plain, Sender::Charger);
                        let taken = state.take(codec, &decoded, &plain, scratch, road, own, effects);
                        let found = (!taken).then(|| sink(Other::Message(&plain, decoded)));
                        scratch.plain = plain;
                        found
                    }
                }
            });
            match found {
                None => return None,
                Some(Some(other)) => return Some(other),
                Some(None) => data = &[],
            }
        }
        slicer.hold(data);
        None
    }

    /// The fact of the open CALL is stored: its answer, if the connection still waits for it.
    pub fn stored<'a>(
        &mut self,
        plan: &mut Plan,
        counter: u64,
        duplicate: bool,
        now: f64,
        remembered: impl FnOnce() -> A,
        answer: &'a mut [u8; ANSWER],
    ) -> Option<&'a [u8]> {
        let state = &mut self.state;
        let open = state.open.take_if(|open| open.counter == counter)?;
        let (counts, class) = (&mut plan.counts, usize::from(open.class == Class::Event));
        counts.duplicates[class] += u64::from(duplicate);
        counts.answered[open.action] += 1;
        counts.bytes_out += u64::from(open.size);
        counts.seconds[class].observe(now - open.read_at, 1);
        if let Some(mark) = open.mark {
            state.answered.add(mark, remembered());
        }
        *answer = open.answer;
        Some(&answer[..usize::from(open.size)])
    }
}

impl<A> State<A> {
    const fn may_take(&self, text: &Masked<'_>) -> bool {
        !self.gated && self.open.is_none() && text.len() <= LARGE
    }

    /// Takes a CALL, if it is plain. Otherwise nothing has changed.
    #[inline]
    #[allow(clippy::too_many_arguments, reason = "one call, inlined")]
    fn take<T>(
        &mut self,
        codec: &Codec,
        decoded: &Decoded,
        frame: &[u8],
        scratch: &mut Scratch,
        road: &mut Road<'_, T>,
        own: &dyn Fn() -> T,
        effects: &mut Effects,
    ) -> bool {
        let (Some(2), Some((action, false)), None) = (decoded.kind, decoded.known, &decoded.violation) else {
            return false;
        };
        let Some(std::borrow::Cow::Borrowed(id)) = decoded.message_id(frame) else { return false };
        let mut text = [0; trace::TEXT];
        let traceparent = match road.plan.sampling {
            None => "",
            Some(sampling) => {
                let trace = Trace::of(road.publisher.session(), self.pieces);
                if trace.sampled(sampling) {
                    return false;
                }
                trace.write(sampling.flags, &mut text)
            }
        };
        let (payload, members) = (decoded.payload(frame), decoded.members(frame));
        let message = Message { action: codec.entries()[action].name, id, payload, members, latin1: false };
        let call = Call { action, message, size: frame.len(), traceparent };
        let taken = match road.plan.routes[action] {
            Route::Session => false,
            Route::Live { clock } => live(clock, &call, scratch, road, effects),
            Route::Stored(how) => {
                let asked = how.may_ask && (decoded.noted.id_token || decoded.noted.ends_online(frame));
                !asked && self.store(how, &call, scratch, road, own, effects)
            }
        };
        if taken {
            road.plan.counts.received[action] += 1;
            road.plan.counts.bytes_in += frame.len() as u64;
            if matches!(road.plan.routes[action], Route::Live { .. }) {
                road.plan.counts.answered[action] += 1;
            }
            effects.overdrawn = road.budget.count(road.now, 1.0, &road.plan.rates);
        }
        taken
    }

    fn store<T>(
        &mut self,
        how: Stored,
        call: &Call<'_>,
        scratch: &mut Scratch,
        road: &mut Road<'_, T>,
        own: &dyn Fn() -> T,
        effects: &mut Effects,
    ) -> bool {
        let Call { action, ref message, size, .. } = *call;
        let mark = how
            .remembers
            .then(|| Mark::of(road.publisher.session(), message.id, message.action, message.payload));
        if mark.is_some_and(|mark| self.answered.find(mark).is_some()) {
            return false;
        }
        let mut answer = [0; ANSWER];
        let Some(answered) = short_answer(message.id, &mut answer, &mut scratch.reply) else { return false };
        let counter = road.outgoing.counter + 1;
        scratch.reply.clear();
        road.outgoing.inbox.push_subject(&mut scratch.reply, counter);
        let reply = std::str::from_utf8(&scratch.reply).unwrap_or_default();
        let (command, key) = (&mut scratch.command, &mut scratch.key);
        let Some(nats_id) = road.publish(how.class, call, reply, command, key, effects) else {
            return false;
        };
        let (now, command) = (road.now, scratch.command.as_bytes());
        road.outgoing.counter = counter;
        road.outgoing.stores.put(counter, Store::new(own(), command, how.class == Class::Tx, now));
        if how.keyed && nats_id.is_some_and(|id| road.keys.conflicts(&scratch.key, &id)) {
            road.plan.counts.conflicts += 1;
        }
        road.budget.store(now, precise(size), road.plan.rates.stored);
        road.budget.stored += precise(command.len()) - precise(size);
        let open = Open { counter, class: how.class, action, read_at: now, mark, answer, size: answered };
        self.open = Some(Box::new(open));
        true
    }
}

fn live<T>(
    clock: bool,
    call: &Call<'_>,
    scratch: &mut Scratch,
    road: &mut Road<'_, T>,
    effects: &mut Effects,
) -> bool {
    let (command, key) = (&mut scratch.command, &mut scratch.key);
    if road.publish(Class::Live, call, "", command, key, effects).is_none() {
        return false;
    }
    let before = effects.answers.len();
    if clock {
        let payload = &mut scratch.reply;
        payload.clear();
        payload.extend_from_slice(b"{\"currentTime\":\"");
        push_time(payload, road.time_ms);
        payload.extend_from_slice(b"\"}");
        encode::push_result(&mut effects.answers, call.message.id, payload);
    } else {
        encode::push_result(&mut effects.answers, call.message.id, EMPTY);
    }
    effects.live += 1;
    road.plan.counts.bytes_out += (effects.answers.len() - before) as u64;
    true
}

/// A size as a number of the budget, which counts in fractions.
fn precise(size: usize) -> f64 {
    f64::from(u32::try_from(size).unwrap_or(u32::MAX))
}
