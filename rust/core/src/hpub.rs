//! One `HPUB` command in one block, and the way numbers and times are written in it.
//!
//! Which subjects and headers a message has stands in `publish`.

use crate::token::{push_attribute, push_header_value};

/// Room for what is known last, the two sizes of the control line: `<digits> <digits>\r\n`.
const ROOM: usize = 43;

/// All the lines a fact has beside its payload, as a first guess at the size.
const HEADERS: usize = 1024;

/// Free text in a header (a pointer may name a member of any length) is cut here, at the first
/// character behind this many bytes: headers and body together have to fit NATS' `max_payload`.
pub const TEXT_LIMIT: usize = 1024;

/// A command being written. Kept and used again, it allocates nothing.
#[derive(Debug, Default)]
pub struct Command {
    bytes: Vec<u8>,
    /// Where the sizes will stand while headers are written.
    sizes: usize,
    start: usize,
}

/// Why a subject or a header's name cannot be sent: it would change the protocol's own lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotSendable(pub &'static str);

impl std::fmt::Display for NotSendable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for NotSendable {}

impl Command {
    /// Writes any message. Header values are escaped; `reply` may be `""`.
    ///
    /// # Errors
    /// [`NotSendable`] for an empty subject, and for a space or control character in a subject or name.
    pub fn write(
        &mut self,
        subject: &str,
        reply: &str,
        headers: &[(&str, &str)],
        payload: &[u8],
    ) -> Result<(), NotSendable> {
        if subject.is_empty() || !is_plain(subject) {
            return Err(NotSendable("a subject has no spaces or control characters and is not empty"));
        }
        if !is_plain(reply) {
            return Err(NotSendable("a reply subject has no spaces or control characters"));
        }
        if headers.iter().any(|(name, _)| name.is_empty() || name.contains(':') || !is_plain(name)) {
            return Err(NotSendable(
                "a header's name has no spaces, control characters or colon and is not empty",
            ));
        }
        self.begin(&[subject], reply, payload.len());
        for (name, value) in headers {
            self.line(name, value);
        }
        self.end(payload);
        Ok(())
    }

    /// The whole command, ready for the socket.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[self.start..]
    }

    /// Starts a command whose subject is `tokens`; header lines follow.
    pub(crate) fn begin(&mut self, tokens: &[&str], reply: &str, payload: usize) {
        self.bytes.clear();
        self.bytes.reserve(HEADERS + payload);
        self.bytes(b"HPUB");
        for (n, token) in tokens.iter().enumerate() {
            self.bytes.push(if n == 0 { b' ' } else { b'.' });
            self.bytes(token.as_bytes());
        }
        if !reply.is_empty() {
            self.bytes.push(b' ');
            self.bytes(reply.as_bytes());
        }
        self.bytes.push(b' ');
        self.sizes = self.bytes.len();
        self.bytes(&[b' '; ROOM]);
        self.bytes(b"NATS/1.0\r\n");
    }

    /// Ends headers and command. The control line moves up to its sizes.
    pub(crate) fn end(&mut self, payload: &[u8]) {
        self.bytes(b"\r\n");
        let headers_at = self.sizes + ROOM;
        let headers = self.bytes.len() - headers_at;
        self.bytes(payload);
        self.bytes(b"\r\n");
        let end = self.bytes.len();
        push_number(&mut self.bytes, headers as u64);
        self.bytes.push(b' ');
        push_number(&mut self.bytes, (headers + payload.len()) as u64);
        self.bytes(b"\r\n");
        self.start = ROOM - (self.bytes.len() - end);
        self.bytes.copy_within(end.., self.sizes + self.start);
        self.bytes.truncate(end);
        self.bytes.copy_within(0..self.sizes, self.start);
    }

    /// Bytes that are safe as they are.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// A header line; `ce-` attributes are escaped as their own binding asks.
    pub(crate) fn line(&mut self, name: &str, value: &str) {
        self.bytes(name.as_bytes());
        self.bytes(b": ");
        let push = if name.starts_with("ce-") { push_attribute } else { push_header_value };
        push(&mut self.bytes, value);
        self.bytes(b"\r\n");
    }

    /// A header line of free text, cut at [`TEXT_LIMIT`].
    pub(crate) fn text(&mut self, name: &str, value: &str) {
        let end = value.char_indices().map(|(at, _)| at).find(|at| *at >= TEXT_LIMIT);
        self.line(name, end.map_or(value, |end| &value[..end]));
    }

    /// The header block's buffer, for those who write their own values.
    pub(crate) fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }
}

fn is_plain(text: &str) -> bool {
    text.bytes().all(|byte| byte > b' ' && byte != 0x7F)
}

/// Decimal digits.
pub(crate) fn push_number(out: &mut Vec<u8>, mut number: u64) {
    let mut digits = [b'0'; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

/// RFC 3339, UTC, milliseconds: `2026-01-31T23:59:59.999Z`. Clamped to the years RFC 3339 can write.
pub(crate) fn push_time(out: &mut Vec<u8>, time_ms: i64) {
    const YEAR_0: i64 = -62_167_219_200_000;
    const YEAR_10000: i64 = 253_402_300_800_000;
    let since_year_0 = time_ms.clamp(YEAR_0, YEAR_10000 - 1).abs_diff(YEAR_0);
    let ms = since_year_0 % 86_400_000;
    let (year, month, day) = civil(since_year_0 / 86_400_000);
    let mut text = *b"0000-00-00T00:00:00.000Z";
    let parts = [
        (0, 4, year),
        (5, 2, month),
        (8, 2, day),
        (11, 2, ms / 3_600_000),
        (14, 2, ms / 60_000 % 60),
        (17, 2, ms / 1000 % 60),
        (20, 3, ms % 1000),
    ];
    for (at, width, mut value) in parts {
        for digit in text[at..at + width].iter_mut().rev() {
            *digit = b'0' + (value % 10) as u8;
            value /= 10;
        }
    }
    out.extend_from_slice(&text);
}

/// Year, month and day of a day counted from 0000-01-01. Years begin in March inside, so that the leap day
/// is a year's last; 400 of them, an era of 146,097 days, are added in front so that nothing is negative
/// (after Hinnant, "chrono-Compatible Low-Level Date Algorithms").
fn civil(day: u64) -> (u64, u64, u64) {
    let day = day + 146_097 - 60;
    let (era, of_era) = (day / 146_097, day % 146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    (era * 400 + year + u64::from(month <= 2) - 400, month, day)
}
