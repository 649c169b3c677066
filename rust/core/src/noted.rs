//! The members of a payload that its key (docs/contract.md 3.3) and its answer depend on: recorded as
//! ranges of the text in the pass that validates the payload (`validate`, `json`).

use std::borrow::Cow;
use std::ops::Range;

use crate::json::Cursor;
use crate::text::unescape;

/// A lenient payload may hold a transaction id of any length; as part of a key it could exceed the
/// maximum size of a NATS message. The longest text OCPP allows anywhere in a key is 36 characters.
const PART_LIMIT: usize = 255;

/// The name of a recorded member. [`Noted::add`] decides where in a payload it counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Member {
    IdToken,
    TransactionInfo,
    TransactionId,
    SeqNo,
    EventType,
    Offline,
    Timestamp,
}

impl Member {
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "idToken" => Self::IdToken,
            "transactionInfo" => Self::TransactionInfo,
            "transactionId" => Self::TransactionId,
            "seqNo" => Self::SeqNo,
            "eventType" => Self::EventType,
            "offline" => Self::Offline,
            "timestamp" => Self::Timestamp,
            _ => return None,
        })
    }
}

/// The members recorded by one pass over a payload. An empty range is a missing member.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools)] // four facts about a payload, none depends on another
pub struct Noted {
    /// Whether the top of the payload has a member `idToken`.
    pub id_token: bool,
    /// Whether the top of the payload says `"offline": true`.
    offline: bool,
    /// Whether any `timestamp` is later than 2020: only a charger whose clock is set sends one.
    clocked: bool,
    /// Whether `transactionInfo` was read: members of other objects are ignored after that.
    info: bool,
    transaction_id: Range<usize>,
    seq_no: Range<usize>,
    event_type: Range<usize>,
}

impl Noted {
    /// Adds a member whose value is at `value` of `text`, inside `depth` objects and arrays.
    #[inline]
    pub(crate) fn add(&mut self, member: Member, depth: u32, value: Range<usize>, text: &str) {
        match (member, depth) {
            (Member::Timestamp, _) => self.clocked = self.clocked || is_clocked(&text[value]),
            (Member::IdToken, 1) => self.id_token = true,
            (Member::Offline, 1) => self.offline = &text[value] == "true",
            (Member::SeqNo, 1) => self.seq_no = value,
            (Member::EventType, 1) => self.event_type = value,
            (Member::TransactionId, 2) if !self.info => self.transaction_id = value,
            (Member::TransactionInfo, 1) => {
                self.info = true;
                if self.transaction_id.start < value.start {
                    self.transaction_id = 0..0;
                }
            }
            _ => {}
        }
    }

    /// Whether the payload ends a transaction while the charger is online: its answer may hold the total cost
    /// (docs/contract.md 3.4).
    #[must_use]
    pub fn ends_online(&self, text: &[u8]) -> bool {
        !self.offline && self.members(text).event_type == "\"Ended\""
    }

    /// The recorded members of `text`.
    pub(crate) fn members<'a>(&self, text: &'a [u8]) -> Members<'a> {
        let raw = |range: &Range<usize>| {
            text.get(range.clone()).and_then(|raw| std::str::from_utf8(raw).ok()).unwrap_or_default()
        };
        Members {
            transaction_id: if self.info { raw(&self.transaction_id) } else { "" },
            seq_no: raw(&self.seq_no),
            event_type: raw(&self.event_type),
            clocked: self.clocked,
        }
    }
}

/// The recorded members as spelled in the payload; `""` is a missing member.
#[derive(Clone, Copy, Debug, Default)]
pub struct Members<'a> {
    transaction_id: &'a str,
    seq_no: &'a str,
    event_type: &'a str,
    pub(crate) clocked: bool,
}

impl<'a> Members<'a> {
    /// The members of a payload that was not decoded from a frame; of broken JSON, those before the fault.
    #[must_use]
    pub fn of(payload: &'a [u8]) -> Self {
        let Ok(text) = std::str::from_utf8(payload) else { return Self::default() };
        let mut cursor = Cursor::new(text);
        cursor.space();
        let _ = cursor.value();
        cursor.noted.members(payload)
    }

    /// `transactionId`, `seqNo` and `eventType`, if all three are present with the right type.
    pub(crate) fn transaction_event(&self) -> Option<[Cow<'a, str>; 3]> {
        let parts = [string(self.transaction_id)?, integer(self.seq_no)?, string(self.event_type)?];
        parts.iter().all(|part| part.len() <= PART_LIMIT).then_some(parts)
    }
}

/// A string's text.
fn string(value: &str) -> Option<Cow<'_, str>> {
    value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).map(unescape)
}

/// The text of a number written as an integer.
fn integer(value: &str) -> Option<Cow<'_, str>> {
    let digits = value.strip_prefix('-').unwrap_or(value);
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    plain.then_some(Cow::Borrowed(value))
}

fn is_clocked(value: &str) -> bool {
    let Some(text) = string(value) else { return false };
    let [year @ .., b'-'] = &text.as_bytes()[..text.len().min(5)] else { return false };
    year.len() == 4 && year.iter().all(u8::is_ascii_digit) && year > b"2020".as_slice()
}
