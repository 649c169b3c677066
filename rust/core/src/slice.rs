//! Websocket bytes on their way to whole frames (RFC 6455 §5.2), wherever they were cut on the road.
//!
//! A plain text message comes out ready to be unmasked. Everything else goes on as it came, to the judge of
//! RFC 6455, websockets' `ServerProtocol`; nothing is refused here. Two frames do not wait until they are
//! whole, because the judge does not either: one that it fails on the header alone, and one inside a
//! fragmented message, whose header goes ahead: only the judge knows what is left of the message's limit.
//!
//! One piece at a time: whatever a charger sends, it is the caller who decides how much of it is decoded in
//! one turn of its loop (docs/contract.md 2.2).

use std::mem;

/// FIN, no RSV bit, text.
const PLAIN_TEXT: u8 = 0x81;
const FIN: u8 = 0x80;
const OPCODE: u8 = 0x0F;
const CLOSE: u8 = 8;
const MASKED: u8 = 0x80;
/// Bytes of a masking key.
const KEY: usize = 4;

/// What comes out of the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    /// A whole text message.
    Text(Masked<'a>),
    /// For the judge: a whole frame, or the front of one (see the module), or the rest of that one.
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

/// One connection's stream. What has not been handed on is held as it came: nothing is decoded in advance.
#[derive(Debug)]
pub struct Slicer {
    held: Vec<u8>,
    /// How much of `held` is handed on and not needed any more.
    start: usize,
    /// `max_message_bytes`.
    limit: u32,
    /// How much of the frame at `start` the judge has already.
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
        Self { held: Vec::new(), start: 0, limit, ahead: 0, open: false, over: false }
    }

    /// Nothing more counts.
    pub fn end(&mut self) {
        self.over = true;
        (self.held, self.start) = (Vec::new(), 0);
    }

    /// Bytes held: whole frames that are not handed on yet, and one that is not whole.
    #[must_use]
    pub const fn unfinished(&self) -> usize {
        self.held.len()
    }

    /// Takes `more` and hands nothing on. Room grows with what is there, not with what a header promises.
    pub fn hold(&mut self, more: &[u8]) {
        if self.over {
            return;
        }
        let length = self.held.len() + more.len();
        if length > self.held.capacity() {
            let wanted = self.start + Head::of(&self.held[self.start..], self.limit).wanted();
            let room = (2 * self.held.capacity()).clamp(length, wanted.max(length));
            self.held.reserve_exact(room - self.held.len());
        }
        self.held.extend_from_slice(more);
    }

    /// Takes `data`, and hands to `sink` the first piece of all that is held; the others wait. `None`:
    /// there is none before more bytes come.
    #[inline]
    pub fn feed<T>(&mut self, data: &[u8], sink: impl FnOnce(Piece<'_>) -> T) -> Option<T> {
        if self.over {
            return None;
        }
        if self.held.is_empty() {
            let (piece, used) = self.first(data);
            if !self.over && used < data.len() {
                self.held = data[used..].to_vec();
            }
            return piece.map(sink);
        }
        self.hold(data);
        let held = mem::take(&mut self.held);
        let (piece, used) = self.first(&held[self.start..]);
        let out = piece.map(sink);
        self.start += used;
        if self.over || self.start == held.len() {
            self.start = 0;
        } else if self.start > 0 && (out.is_none() || 2 * self.start >= held.len()) {
            self.held = held[self.start..].to_vec();
            self.start = 0;
        } else {
            self.held = held;
        }
        out
    }

    /// The piece at the front of `bytes`, and how many of them are not needed any more.
    #[inline]
    fn first<'a>(&mut self, bytes: &'a [u8]) -> (Option<Piece<'a>>, usize) {
        let ahead = usize::from(mem::take(&mut self.ahead)); // up to here all is handed on
        match Head::of(bytes, self.limit) {
            Head::Sound { first: PLAIN_TEXT, judged, size } if size <= bytes.len() && !self.open => {
                (Some(Piece::Text(Masked::of(&bytes[usize::from(judged)..size]))), size)
            }
            Head::Sound { first, size, .. } if size <= bytes.len() => {
                match first & OPCODE {
                    CLOSE => self.over = true,
                    0..=2 => self.open = first & FIN == 0,
                    _ => {}
                }
                (Some(Piece::Raw(&bytes[ahead..size])), size)
            }
            Head::Sound { judged, .. } if self.open => {
                self.ahead = judged;
                let head = &bytes[ahead..judged.into()];
                ((!head.is_empty()).then_some(Piece::Raw(head)), 0)
            }
            Head::Fails(judged) => {
                self.over = true;
                (Some(Piece::Raw(&bytes[ahead..judged])), judged)
            }
            Head::Sound { .. } | Head::Short(_) => (None, 0),
        }
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
            slicer.feed(data, |_| ());
            slicer.held.capacity()
        };
        assert_eq!(feed(&promise), promise.len());
        assert!(feed(&zeros[..1_000]) < 2_100);
        assert!(feed(&zeros[..300_000]) < 302_000);
        assert_eq!(feed(&zeros[..200_000]), zeros.len() + promise.len(), "never more than the frame");
        assert_eq!(feed(&zeros[501_000..]), 0, "given back with the frame");
    }
}
