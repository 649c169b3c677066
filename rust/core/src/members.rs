//! Reads a few members out of a payload that is already known to be JSON: no DOM, no verdicts.
//!
//! On bytes that are no JSON it finds something or nothing, and ends; it never judges (`validate` does).

use std::borrow::Cow;

use memchr::{memchr, memchr2};

/// Walks the member names of a JSON text, at every depth, in text order.
pub(crate) struct Members<'a> {
    text: &'a [u8],
    at: usize,
    depth: usize,
}

/// One member: its name and where its value begins.
pub(crate) struct Member<'a> {
    /// How many objects and arrays are open around the name: 1 at the top of a payload.
    pub depth: usize,
    name: &'a [u8],
    value: &'a [u8],
}

impl<'a> Members<'a> {
    pub(crate) fn new(text: &'a [u8]) -> Self {
        Self { text, at: 0, depth: 0 }
    }
}

impl<'a> Iterator for Members<'a> {
    type Item = Member<'a>;

    fn next(&mut self) -> Option<Member<'a>> {
        loop {
            match self.text.get(self.at)? {
                b'{' | b'[' => self.depth += 1,
                b'}' | b']' => self.depth = self.depth.saturating_sub(1),
                b'"' => {
                    let name = string(&self.text[self.at..])?;
                    self.at += name.len();
                    // In JSON a string with a colon behind it is a member's name, and nothing else is.
                    let behind = self.text[self.at..].trim_ascii_start();
                    if let [b':', value @ ..] = behind {
                        let value = value.trim_ascii_start();
                        self.at = self.text.len() - value.len();
                        return Some(Member { depth: self.depth, name, value });
                    }
                    continue;
                }
                _ => {}
            }
            self.at += 1;
        }
    }
}

impl<'a> Member<'a> {
    /// Whether this is the member `name`, however it is escaped.
    pub(crate) fn is(&self, name: &str) -> bool {
        let inside = &self.name[1..self.name.len() - 1];
        inside == name.as_bytes()
            || (is_escaped(inside) && unescaped(self.name).is_some_and(|own| own == name))
    }

    /// The value, where it is a string that can be written as UTF-8 (a lone surrogate cannot).
    pub(crate) fn text(&self) -> Option<Cow<'a, str>> {
        let value = string(self.value)?;
        if is_escaped(value) {
            unescaped(value).map(Cow::Owned)
        } else {
            std::str::from_utf8(&value[1..value.len() - 1]).ok().map(Cow::Borrowed)
        }
    }

    /// The value's digits, where it is a number written as an integer.
    pub(crate) fn integer(&self) -> Option<&'a str> {
        let end = self
            .value
            .iter()
            .position(|byte| !matches!(byte, b'-' | b'+' | b'.' | b'0'..=b'9' | b'e' | b'E'));
        let number = &self.value[..end.unwrap_or(self.value.len())];
        let digits = number.strip_prefix(b"-").unwrap_or(number);
        (!digits.is_empty() && digits.iter().all(u8::is_ascii_digit))
            .then(|| std::str::from_utf8(number).ok())
            .flatten()
    }
}

/// The string, quotes included, that `text` begins with.
fn string(text: &[u8]) -> Option<&[u8]> {
    if text.first() != Some(&b'"') {
        return None;
    }
    let mut at = 1;
    loop {
        at += memchr2(b'"', b'\\', text.get(at..)?)?;
        if text[at] == b'"' {
            return Some(&text[..=at]);
        }
        at += 2;
    }
}

fn is_escaped(text: &[u8]) -> bool {
    memchr(b'\\', text).is_some()
}

fn unescaped(quoted: &[u8]) -> Option<String> {
    serde_json::from_slice(quoted).ok()
}
