//! Websocket bytes on their way to whole frames (RFC 6455 §5.2), wherever they were cut on the road.
//!
//! A plain text message comes out ready to be unmasked. Everything else goes on as it came, to the judge of
//! RFC 6455, websockets' `ServerProtocol`; nothing is refused here. Two frames do not wait until they are
//! whole, because the judge does not either: one that it fails on the header alone, and one inside a
//! fragmented message, whose header goes ahead: only the judge knows what is left of the message's limit.

use std::mem;

/// FIN, no RSV bit, text.
const PLAIN_TEXT: u8 = 0x81;
const FIN: u8 = 0x80;
const OPCODE: u8 = 0x0F;
const CLOSE: u8 = 8;
const MASKED: u8 = 0x80;
/// Bytes of a masking key.
const KEY: usize = 4;
/// Bytes of the longest header, and of what is kept behind the one of a frame that fails.
const FRONT: usize = 14 + 4096;

/// What comes out of the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    /// A whole text message.
    Text(Masked<'a>),
    /// For the judge: whole frames, or the front of one (see the module), or the rest of that one.
    Raw(&'a [u8]),
}

/// A payload as it came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Masked<'a> {
    key: [u8; KEY],
    bytes: &'a [u8],
}

impl<'a> Masked<'a> {
    /// `frame` is what follows the length.
    fn of(frame: &'a [u8]) -> Self {
        let (key, bytes) = frame.split_at(KEY);
        Self { key: [key[0], key[1], key[2], key[3]], bytes }
    }

    /// Its length, masked or not.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether there is nothing to unmask.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Writes the payload to `plain`, which is [`Self::len`] long.
    pub fn unmask(&self, plain: &mut [u8]) {
        let [a, b, c, d] = self.key;
        let key = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
        let (words, tail) = self.bytes.as_chunks::<8>();
        let (plain_words, plain_tail) = plain.as_chunks_mut::<8>();
        for (plain, word) in plain_words.iter_mut().zip(words) {
            *plain = (u64::from_ne_bytes(*word) ^ key).to_ne_bytes();
        }
        for ((plain, byte), key) in plain_tail.iter_mut().zip(tail).zip(self.key.iter().cycle()) {
            *plain = byte ^ key;
        }
    }
}

/// What the first bytes of a frame say.
enum Head {
    /// Not enough of it: it takes so many bytes to say more.
    Short(usize),
    /// The judge fails it when it has read so many bytes.
    Fails(usize),
    /// A frame of `size` bytes, on whose header the judge has no more to say after `judged`.
    Sound { first: u8, judged: u8, size: usize },
}

impl Head {
    /// In the order in which the judge asks: opcode, mask, length.
    #[inline]
    fn of(bytes: &[u8], limit: u32) -> Self {
        let &[first, second, ref rest @ ..] = bytes else { return Self::Short(2) };
        if !matches!(first & OPCODE, 0..=2 | CLOSE..=10) || second & MASKED == 0 {
            return Self::Fails(2);
        }
        let (judged, length) = match second & 0x7F {
            126 => match rest.first_chunk() {
                Some(length) => (4, u64::from(u16::from_be_bytes(*length))),
                None => return Self::Short(4),
            },
            127 => match rest.first_chunk() {
                Some(length) => (10, u64::from_be_bytes(*length)),
                None => return Self::Short(10),
            },
            short => (2, u64::from(short)),
        };
        match usize::try_from(length) {
            Ok(length) if length <= limit as usize => {
                Self::Sound { first, judged, size: usize::from(judged) + KEY + length }
            }
            _ => Self::Fails(judged.into()),
        }
    }

    /// How many bytes it takes to get on.
    const fn wanted(&self) -> usize {
        let (Self::Short(size) | Self::Fails(size) | Self::Sound { size, .. }) = self;
        *size
    }
}

/// One connection's stream. Holds at most one unfinished frame, and nothing between frames.
#[derive(Debug)]
pub struct Slicer {
    held: Vec<u8>,
    /// `max_message_bytes`.
    limit: u32,
    /// How much of `held` the judge has already.
    ahead: u8,
    /// Whether a fragmented message is open.
    open: bool,
    /// After a Close, or a frame that must fail, nothing counts.
    over: bool,
}

impl Slicer {
    /// A stream at the beginning of a frame, of messages of at most `limit` bytes.
    #[must_use]
    pub const fn new(limit: u32) -> Self {
        Self { held: Vec::new(), limit, ahead: 0, open: false, over: false }
    }

    /// Nothing more counts.
    pub fn end(&mut self) {
        self.over = true;
        self.held = Vec::new();
    }

    /// Bytes held of a frame that is not whole.
    #[must_use]
    pub const fn unfinished(&self) -> usize {
        if self.over { 0 } else { self.held.len() }
    }

    /// What has come of the frame that is not whole, or that failed by its header: its first bytes.
    #[must_use]
    pub fn front(&self) -> &[u8] {
        &self.held[..self.held.len().min(FRONT)]
    }

    /// Hands to `sink`, in order, what `data` completes.
    ///
    /// # Errors
    /// The sink's own; the stream is then over.
    #[inline]
    pub fn feed<E>(
        &mut self,
        data: &[u8],
        mut sink: impl FnMut(Piece<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        if self.over {
            return Ok(());
        }
        let fed = self.complete(data, &mut sink).and_then(|rest| self.begin(rest, &mut sink));
        if fed.is_err() {
            self.end();
        }
        fed
    }

    /// Hands on what is whole in `data`, which begins with a frame, and holds the rest.
    fn begin<E>(&mut self, data: &[u8], sink: &mut impl FnMut(Piece<'_>) -> Result<(), E>) -> Result<(), E> {
        if data.is_empty() {
            return Ok(());
        }
        let used = self.scan(data, sink)?;
        if used < data.len() && !self.over {
            self.held = data[used..].to_vec();
        }
        Ok(())
    }

    /// Completes what is held; returns what lies behind it, which is nothing when it did not.
    fn complete<'a, E>(
        &mut self,
        mut data: &'a [u8],
        sink: &mut impl FnMut(Piece<'_>) -> Result<(), E>,
    ) -> Result<&'a [u8], E> {
        while !self.held.is_empty() && !self.over {
            let wanted = Head::of(&self.held, self.limit).wanted();
            let missing = wanted - self.held.len();
            let (now, later) = data.split_at(missing.min(data.len()));
            self.hold(now, wanted);
            data = later;
            if now.len() < missing {
                break;
            }
            let held = mem::take(&mut self.held);
            if self.scan(&held, sink)? == 0 && !self.over {
                self.held = held; // a header, that far
            }
        }
        if self.over && !self.held.is_empty() {
            let room = FRONT.saturating_sub(self.held.len()); // it failed: more of its front
            self.held.extend_from_slice(&data[..data.len().min(room)]);
        }
        Ok(if self.over { &[] } else { data })
    }

    /// Room grows with what is there, not with what the header promises; never beyond `wanted`.
    fn hold(&mut self, more: &[u8], wanted: usize) {
        let length = self.held.len() + more.len();
        if length > self.held.capacity() {
            let room = (2 * self.held.capacity()).clamp(length, wanted);
            self.held.reserve_exact(room - self.held.len());
        }
        self.held.extend_from_slice(more);
    }

    /// Hands on what is whole at the front of `bytes`; returns its size.
    #[inline]
    fn scan<E>(
        &mut self,
        bytes: &[u8],
        sink: &mut impl FnMut(Piece<'_>) -> Result<(), E>,
    ) -> Result<usize, E> {
        let mut at = 0;
        let mut raw = usize::from(mem::take(&mut self.ahead)); // up to here all is handed on
        let end = loop {
            let rest = &bytes[at..];
            match Head::of(rest, self.limit) {
                Head::Sound { first: PLAIN_TEXT, judged, size } if size <= rest.len() && !self.open => {
                    if raw < at {
                        sink(Piece::Raw(&bytes[raw..at]))?;
                    }
                    sink(Piece::Text(Masked::of(&rest[usize::from(judged)..size])))?;
                    at += size;
                    raw = at;
                }
                Head::Sound { first, size, .. } if size <= rest.len() => {
                    // One by one: what a frame inflates to is to be used before the next one inflates.
                    if raw < at {
                        sink(Piece::Raw(&bytes[raw..at]))?;
                        raw = at;
                    }
                    at += size;
                    match first & OPCODE {
                        CLOSE => {
                            self.over = true;
                            break at;
                        }
                        0..=2 => self.open = first & FIN == 0,
                        _ => {}
                    }
                }
                Head::Sound { judged, .. } if self.open => {
                    self.ahead = judged;
                    break at + usize::from(judged);
                }
                Head::Fails(judged) => {
                    self.over = true;
                    self.held = rest[..rest.len().min(FRONT)].to_vec();
                    break at + judged;
                }
                Head::Sound { .. } | Head::Short(_) => break at,
            }
        };
        if raw < end {
            sink(Piece::Raw(&bytes[raw..end]))?;
        }
        Ok(at)
    }
}

#[cfg(test)]
mod tests {
    use super::Slicer;

    /// What no caller can see: the room behind `held`.
    #[test]
    fn a_header_that_promises_much_costs_what_has_come() {
        let promise = [0x81, 0x80 | 127, 0, 0, 0, 0, 0, 8, 0, 0, 1, 2, 3, 4];
        let zeros = vec![0; 0x8_0000];
        let mut slicer = Slicer::new(1 << 20);
        let mut feed = |data: &[u8]| {
            slicer.feed(data, |_| Ok::<(), ()>(())).unwrap();
            slicer.held.capacity()
        };
        assert_eq!(feed(&promise), promise.len());
        assert!(feed(&zeros[..1_000]) < 2_100);
        assert!(feed(&zeros[..300_000]) < 302_000);
        assert_eq!(feed(&zeros[..200_000]), zeros.len() + promise.len(), "never more than the frame");
        assert_eq!(feed(&zeros[501_000..]), 0, "given back with the frame");
    }
}
