//! String tokens of JSON and their unescaped text.

use std::borrow::Cow;

/// A string token, without its quotes.
#[derive(Clone, Copy)]
pub(crate) struct Text<'a> {
    pub raw: &'a str,
    pub escaped: bool,
}

impl<'a> Text<'a> {
    pub fn plain(self) -> Cow<'a, str> {
        if self.escaped { unescape(self.raw) } else { Cow::Borrowed(self.raw) }
    }

    /// Whether the text has more than `limit` code points.
    pub fn longer_than(self, limit: usize) -> bool {
        self.raw.len() > limit && self.plain().chars().nth(limit).is_some()
    }
}

/// Four hex digits as a UTF-16 unit.
pub(crate) fn hex_unit(digits: &str) -> Option<u16> {
    let hex = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    hex.then(|| u16::from_str_radix(digits, 16).ok()).flatten()
}

/// A string token's text; `raw` has passed [`Cursor::string`].
pub(crate) fn unescape(raw: &str) -> Cow<'_, str> {
    let Some(first) = raw.find('\\') else { return Cow::Borrowed(raw) };
    let mut plain = String::with_capacity(raw.len());
    plain.push_str(&raw[..first]);
    let mut rest = &raw[first..];
    while let Some(escape) = rest.strip_prefix('\\') {
        let (unit, length) = match escape.as_bytes().first() {
            Some(b'u') => unicode(escape),
            Some(b'b') => ('\u{8}', 1),
            Some(b'f') => ('\u{c}', 1),
            Some(b'n') => ('\n', 1),
            Some(b'r') => ('\r', 1),
            Some(b't') => ('\t', 1),
            Some(&other) => (char::from(other), 1),
            None => break,
        };
        plain.push(unit);
        rest = escape.get(length..).unwrap_or_default();
        let run = rest.find('\\').unwrap_or(rest.len());
        plain.push_str(&rest[..run]);
        rest = &rest[run..];
    }
    Cow::Owned(plain)
}

/// The character of `uXXXX` or `uXXXX\uXXXX`, and its length in bytes.
fn unicode(escape: &str) -> (char, usize) {
    let unit = |from: usize| escape.get(from..from + 4).and_then(hex_unit);
    let pair = [unit(1), unit(7)].map(|unit| unit.unwrap_or(0));
    let length = if matches!(pair[0], 0xD800..=0xDBFF) { 11 } else { 5 };
    let units = &pair[..length / 5];
    let decoded = char::decode_utf16(units.iter().copied()).next();
    (decoded.and_then(Result::ok).unwrap_or(char::REPLACEMENT_CHARACTER), length)
}
