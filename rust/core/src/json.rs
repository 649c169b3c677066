//! A cursor over JSON text (RFC 8259) that builds nothing: tokens, and a scan of values without a schema.
//!
//! What parsers disagree on is refused (docs/ocpp.md D): duplicate keys, lone surrogates, raw control
//! characters, numbers beyond binary64 or 64 bytes, nesting beyond 32.

use std::borrow::Cow;
use std::collections::BTreeSet;

use crate::fault::{Code, Fault};
use crate::noted::{Member, Noted};
use crate::text::{Text, hex_unit};

/// Arrays and objects inside each other, the payload object being the first.
pub(crate) const DEPTH_LIMIT: u32 = 32;
/// Bytes of one number.
pub(crate) const NUMBER_LIMIT: usize = 64;

/// The scan stopped; why is in [`Cursor::fault`].
#[derive(Debug)]
pub(crate) struct Halt;

pub(crate) type Step = Result<(), Halt>;

/// A number token, and whether it has neither fraction nor exponent.
#[derive(Clone, Copy)]
pub(crate) struct Number<'a> {
    pub text: &'a str,
    pub plain: bool,
}

pub(crate) struct Cursor<'a> {
    pub text: &'a str,
    pub at: usize,
    pub depth: u32,
    /// The members that were read so far and matter later.
    pub noted: Noted,
    pub fault: Option<Box<Fault>>,
}

impl<'a> Cursor<'a> {
    pub fn new(text: &'a str) -> Self {
        Self { text, at: 0, depth: 0, noted: Noted::default(), fault: None }
    }

    #[cold]
    #[inline(never)]
    pub fn halt(&mut self, code: Code, fatal: bool, reason: impl Into<Cow<'static, str>>) -> Halt {
        self.fault = Some(Box::new(Fault::new(code, fatal, reason)));
        Halt
    }

    #[cold]
    #[inline(never)]
    pub fn broken(&mut self, reason: &'static str) -> Halt {
        self.halt(Code::Formation, true, reason)
    }

    #[cold]
    #[inline(never)]
    pub fn under_key(&mut self, key: &str) -> Halt {
        if let Some(fault) = &mut self.fault {
            fault.under_key(key);
        }
        Halt
    }

    #[cold]
    #[inline(never)]
    pub fn under_index(&mut self, index: usize) -> Halt {
        if let Some(fault) = &mut self.fault {
            fault.under_index(index);
        }
        Halt
    }

    /// The next byte; 0, which is nowhere legal, at the end.
    #[inline]
    pub fn peek(&self) -> u8 {
        self.text.as_bytes().get(self.at).copied().unwrap_or(0)
    }

    #[inline]
    pub fn eat(&mut self, byte: u8) -> bool {
        let found = self.peek() == byte;
        self.at += usize::from(found);
        found
    }

    #[inline]
    pub fn space(&mut self) {
        while matches!(self.peek(), b' ' | b'\t' | b'\n' | b'\r') {
            self.at += 1;
        }
    }

    #[inline]
    pub fn literal(&mut self, word: &str) -> bool {
        let found = self.text.as_bytes()[self.at..].starts_with(word.as_bytes());
        if found {
            self.at += word.len();
        }
        found
    }

    /// The eight bytes at `at` as one little-endian word, zeros behind the end.
    #[inline]
    pub fn word(&self, at: usize) -> u64 {
        let rest = self.text.as_bytes().get(at..).unwrap_or_default();
        if let Some(chunk) = rest.first_chunk() {
            return u64::from_le_bytes(*chunk);
        }
        let mut chunk = [0; 8];
        chunk[..rest.len()].copy_from_slice(rest);
        u64::from_le_bytes(chunk)
    }

    #[inline]
    pub fn enter(&mut self) -> Step {
        self.depth += 1;
        if self.depth > DEPTH_LIMIT {
            return Err(self.halt(Code::Property, true, "nested deeper than 32 levels"));
        }
        Ok(())
    }

    /// The string whose opening quote is next.
    #[inline]
    pub fn string(&mut self) -> Result<Text<'a>, Halt> {
        if !self.eat(b'"') {
            return Err(self.broken("broken JSON: a string is missing"));
        }
        let start = self.at;
        let mut escaped = false;
        loop {
            match self.plain_run() {
                b'"' => {
                    let raw = &self.text[start..self.at];
                    self.at += 1;
                    return Ok(Text { raw, escaped });
                }
                b'\\' => {
                    escaped = true;
                    self.escape()?;
                }
                _ if self.at >= self.text.len() => {
                    return Err(self.broken("broken JSON: a string does not end"));
                }
                _ => return Err(self.broken("broken JSON: a raw control character in a string")),
            }
        }
    }

    /// Moves to the next quote, backslash or control character, eight bytes at a step.
    #[inline]
    fn plain_run(&mut self) -> u8 {
        const ONES: u64 = u64::MAX / 255;
        let bytes = self.text.as_bytes();
        while let Some(chunk) = bytes.get(self.at..).and_then(|rest| rest.first_chunk()) {
            let word = u64::from_le_bytes(*chunk);
            let quote = word ^ (ONES * 0x22);
            let slash = word ^ (ONES * 0x5C);
            let hit = (quote.wrapping_sub(ONES) & !quote)
                | (slash.wrapping_sub(ONES) & !slash)
                | (word.wrapping_sub(ONES * 0x20) & !word);
            // Borrows run upwards only, so the lowest mark is always a true one.
            let hit = hit & (ONES * 0x80);
            if hit != 0 {
                self.at += hit.trailing_zeros() as usize / 8;
                return bytes[self.at];
            }
            self.at += 8;
        }
        while !matches!(self.peek(), b'"' | b'\\' | 0..0x20) {
            self.at += 1;
        }
        self.peek()
    }

    #[cold]
    fn escape(&mut self) -> Step {
        self.at += 1;
        let letter = self.peek();
        self.at += 1;
        match letter {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Ok(()),
            b'u' => match self.hex() {
                Some(0xD800..=0xDBFF) => {
                    let paired = self.literal("\\u") && matches!(self.hex(), Some(0xDC00..=0xDFFF));
                    if paired { Ok(()) } else { Err(self.broken("broken JSON: a lone surrogate")) }
                }
                Some(0xDC00..=0xDFFF) => Err(self.broken("broken JSON: a lone surrogate")),
                Some(_) => Ok(()),
                None => Err(self.broken("broken JSON: \\u without four hex digits")),
            },
            _ => {
                // The byte behind a backslash may start a character: stay on a boundary.
                self.at -= 1;
                Err(self.broken("broken JSON: an unknown escape"))
            }
        }
    }

    fn hex(&mut self) -> Option<u16> {
        let digits = self.text.get(self.at..self.at + 4)?;
        let value = hex_unit(digits)?;
        self.at += 4;
        Some(value)
    }

    /// The number that starts here (at `-` or a digit).
    #[inline]
    pub fn number(&mut self) -> Result<Number<'a>, Halt> {
        let start = self.at;
        let mut plain = true;
        self.eat(b'-');
        if !self.eat(b'0') {
            self.digits()?;
        }
        if self.eat(b'.') {
            plain = false;
            self.digits()?;
        }
        let mut finite = true;
        if matches!(self.peek(), b'e' | b'E') {
            plain = false;
            self.at += 1;
            if matches!(self.peek(), b'+' | b'-') {
                self.at += 1;
            }
            self.digits()?;
            finite = self.text[start..self.at].parse::<f64>().is_ok_and(f64::is_finite);
        }
        if self.at - start > NUMBER_LIMIT || !finite {
            let reason = "a number of more than 64 bytes, or beyond binary64";
            return Err(self.halt(Code::Property, true, reason));
        }
        Ok(Number { text: &self.text[start..self.at], plain })
    }

    #[inline]
    fn digits(&mut self) -> Step {
        let start = self.at;
        while self.peek().is_ascii_digit() {
            self.at += 1;
        }
        if self.at == start {
            return Err(self.broken("broken JSON: a digit is missing"));
        }
        Ok(())
    }

    /// `:` and the space around it.
    #[inline]
    pub fn colon(&mut self) -> Step {
        if self.peek() != b':' {
            self.space();
            if self.peek() != b':' {
                return Err(self.broken("broken JSON: a colon is missing"));
            }
        }
        self.at += 1;
        self.space();
        Ok(())
    }

    /// Behind a member or an item: true when another follows, false when `close` ended the row.
    #[inline]
    pub fn more(&mut self, close: u8) -> Result<bool, Halt> {
        self.space();
        match self.peek() {
            b',' => {
                self.at += 1;
                self.space();
                Ok(true)
            }
            byte if byte == close => {
                self.at += 1;
                Ok(false)
            }
            _ => Err(self.broken("broken JSON: a comma or a closing bracket is missing")),
        }
    }

    /// Any value, judged by its form alone.
    pub fn value(&mut self) -> Step {
        match self.peek() {
            b'"' => self.string().map(drop),
            b'{' => self.any_object(),
            b'[' => self.any_array(),
            b'-' | b'0'..=b'9' => self.number().map(drop),
            b't' if self.literal("true") => Ok(()),
            b'f' if self.literal("false") => Ok(()),
            b'n' if self.literal("null") => Ok(()),
            0 if self.at >= self.text.len() => Err(self.broken("broken JSON: the text ends too early")),
            _ => Err(self.broken("broken JSON: a value is missing")),
        }
    }

    fn any_object(&mut self) -> Step {
        self.at += 1;
        self.enter()?;
        let mut keys = BTreeSet::new();
        self.space();
        let mut open = !self.eat(b'}');
        while open {
            let name = self.string()?;
            let key = name.plain();
            let member = Member::named(&key);
            self.new_key(&mut keys, key)?;
            let start = self.at;
            self.value().map_err(|_| self.under_key(&name.plain()))?;
            self.note(member, start);
            open = self.more(b'}')?;
        }
        self.depth -= 1;
        Ok(())
    }

    /// The value just read, which began at `start`, was that of `member`.
    #[inline]
    pub fn note(&mut self, member: Option<Member>, start: usize) {
        if let Some(member) = member {
            self.noted.add(member, self.depth, start..self.at, self.text);
        }
    }

    /// The key just read must be new in `keys`: an ordered set, so that no choice of keys makes it slow.
    pub fn new_key(&mut self, keys: &mut BTreeSet<Cow<'a, str>>, key: Cow<'a, str>) -> Step {
        match keys.replace(key) {
            None => self.colon(),
            Some(twin) => Err(self.duplicate(&twin)),
        }
    }

    #[cold]
    pub fn duplicate(&mut self, key: &str) -> Halt {
        self.halt(Code::Formation, true, "a duplicate key");
        self.under_key(key)
    }

    fn any_array(&mut self) -> Step {
        self.at += 1;
        self.enter()?;
        self.space();
        let mut open = !self.eat(b']');
        let mut index = 0;
        while open {
            self.value().map_err(|_| self.under_index(index))?;
            index += 1;
            open = self.more(b']')?;
        }
        self.depth -= 1;
        Ok(())
    }
}
