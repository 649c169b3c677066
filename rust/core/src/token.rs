//! Text made safe for NATS: an identity as one subject token and legal KV key (docs/contract.md 3.1), any text
//! as a header value (docs/contract.md 3.3). Which subjects and headers there are stands in `publish`.

/// Bytes that stand for themselves, by value.
type Kept = [bool; 256];

/// `A-Z a-z 0-9 _ -`: legal in a subject token, a KV key and a header value alike.
const TOKEN: Kept = {
    let mut kept = [false; 256];
    let mut byte = 0_u8;
    while byte < 128 {
        kept[byte as usize] = byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
        byte += 1;
    }
    kept
};

/// Printable ASCII, save the escape itself: `%` too is escaped, so that plain percent-decoding reads it back.
const HEADER: Kept = {
    let mut kept = [false; 256];
    let mut byte = 0x20_u8;
    while byte < 0x7F {
        kept[byte as usize] = byte != b'%';
        byte += 1;
    }
    kept
};

/// The `CloudEvents` NATS binding escapes space and `"` too, in its own attributes.
const ATTRIBUTE: Kept = {
    let mut kept = HEADER;
    kept[b' ' as usize] = false;
    kept[b'"' as usize] = false;
    kept
};

/// Why a token is not the token of any identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAToken(pub &'static str);

impl std::fmt::Display for NotAToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for NotAToken {}

/// The identity as one NATS token: `RDAM 1.2*` is `RDAM=201=2E2=2A`.
#[must_use]
pub fn token(identity: &str) -> String {
    let mut out = Vec::with_capacity(identity.len());
    push_token(&mut out, identity);
    ascii(out)
}

/// The inverse of [`token`], strict: one identity, one token, in both directions.
///
/// # Errors
/// [`NotAToken`] for every text that [`token`] does not make of some identity.
pub fn identity(token: &str) -> Result<String, NotAToken> {
    let mut out = Vec::with_capacity(token.len());
    let mut rest = token.as_bytes();
    while let [byte, tail @ ..] = rest {
        rest = tail;
        if TOKEN[usize::from(*byte)] {
            out.push(*byte);
            continue;
        }
        let [high, low, tail @ ..] = tail else { return Err(NotAToken("an escape is cut off")) };
        let (b'=', Some(high), Some(low)) = (*byte, nibble(*high), nibble(*low)) else {
            return Err(NotAToken("an escape is = and two upper-case hex digits"));
        };
        let byte = high << 4 | low;
        if TOKEN[usize::from(byte)] {
            return Err(NotAToken("a byte is escaped that needs no escape"));
        }
        out.push(byte);
        rest = tail;
    }
    match String::from_utf8(out) {
        Ok(identity) if !identity.is_empty() => Ok(identity),
        Ok(_) => Err(NotAToken("an identity has at least one character")),
        Err(_) => Err(NotAToken("the escaped bytes are not UTF-8")),
    }
}

/// `text` as a header value: printable ASCII, with no space at its ends, where NATS clients trim.
#[must_use]
pub fn header_value(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    push_header_value(&mut out, text);
    ascii(out)
}

pub(crate) fn push_token(out: &mut Vec<u8>, text: &str) {
    escape(out, text.as_bytes(), &TOKEN, b'=');
}

pub(crate) fn push_header_value(out: &mut Vec<u8>, text: &str) {
    let inner = text.trim_matches(' ');
    let before = text.len() - text.trim_start_matches(' ').len();
    out.extend(b"%20".repeat(before));
    escape(out, inner.as_bytes(), &HEADER, b'%');
    out.extend(b"%20".repeat(text.len() - before - inner.len()));
}

/// `text` as the value of a `CloudEvents` attribute.
pub(crate) fn push_attribute(out: &mut Vec<u8>, text: &str) {
    escape(out, text.as_bytes(), &ATTRIBUTE, b'%');
}

fn escape(out: &mut Vec<u8>, mut text: &[u8], kept: &Kept, mark: u8) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    // Nearly every text passes in one run.
    while let Some(at) = text.iter().position(|byte| !kept[usize::from(*byte)]) {
        let byte = text[at];
        out.extend_from_slice(&text[..at]);
        out.extend_from_slice(&[mark, HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
        text = &text[at + 1..];
    }
    out.extend_from_slice(text);
}

fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

/// Everything written here is ASCII: its bytes are its characters.
pub(crate) fn ascii(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_default()
}
