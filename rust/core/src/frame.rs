//! What one OCPP-J frame is, whoever sent it, and what is wrong with it.
//!
//! A [`Decoded`] holds places in the frame's bytes, not copies: whoever holds it holds the bytes too.

use std::borrow::Cow;
use std::ops::Range;

use crate::fault::{Fault, Violation};
use crate::noted::{Members, Noted};
use crate::text::unescape;
use crate::version::Version;

/// One frame, taken apart. Empty ranges stand for what the frame does not have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decoded {
    /// 2 to 6; `None` where it is unreadable or unknown in this version.
    pub kind: Option<u8>,
    /// Between the quotes, escapes and all; `None` where unreadable.
    pub message_id: Option<Range<usize>>,
    /// Types 2 and 6, likewise; also of an unknown action.
    pub action: Option<Range<usize>>,
    /// The index of the action in [`entries`](crate::codec::Codec::entries), and whether it is `-Signed`.
    pub known: Option<(usize, bool)>,
    /// The payload, or the details of types 4 and 5; empty where their JSON breaks before its end.
    pub payload: Range<usize>,
    /// A `null` payload, which 1.6 allows and which counts as `{}` (docs/ocpp.md A9).
    pub null: bool,
    /// Types 4 and 5.
    pub code: Option<Range<usize>>,
    /// Types 4 and 5.
    pub description: Option<Range<usize>>,
    /// The first violation in text order.
    pub violation: Option<Box<Violation>>,
    /// The first violation that no validation level passes (docs/contract.md 2.2, last lines).
    pub fatal: Option<Box<Violation>>,
    /// Whether the bytes are no UTF-8.
    pub binary: bool,
    /// The members of the payload that matter later.
    pub noted: Noted,
}

impl Decoded {
    /// What a frame becomes whose decoding failed through a fault of ours.
    #[must_use]
    pub fn failed(version: Version) -> Self {
        let mut failed = Self::default();
        failed.note(Fault::unexplained(), version);
        failed
    }

    /// The unescaped message id. `frame` is what was decoded, here and below.
    #[must_use]
    pub fn message_id<'a>(&self, frame: &'a [u8]) -> Option<Cow<'a, str>> {
        self.message_id.clone().map(|range| text(frame, range))
    }

    /// The unescaped action.
    #[must_use]
    pub fn action<'a>(&self, frame: &'a [u8]) -> Option<Cow<'a, str>> {
        self.action.clone().map(|range| text(frame, range))
    }

    /// The payload's bytes as they came; `{}` for a 1.6 `null`; empty where there are none.
    #[must_use]
    pub fn payload<'a>(&self, frame: &'a [u8]) -> &'a [u8] {
        if self.null { b"{}" } else { frame.get(self.payload.clone()).unwrap_or_default() }
    }

    /// The payload's members that its key is made of.
    #[must_use]
    pub fn members<'a>(&self, frame: &'a [u8]) -> Members<'a> {
        self.noted.members(frame)
    }

    /// The unescaped error code of types 4 and 5.
    #[must_use]
    pub fn code<'a>(&self, frame: &'a [u8]) -> Option<Cow<'a, str>> {
        self.code.clone().map(|range| text(frame, range))
    }

    /// The unescaped description of types 4 and 5.
    #[must_use]
    pub fn description<'a>(&self, frame: &'a [u8]) -> Option<Cow<'a, str>> {
        self.description.clone().map(|range| text(frame, range))
    }

    /// The first violation counts; so does the first fatal one.
    #[cold]
    pub(crate) fn note(&mut self, fault: Fault, version: Version) {
        let fatal = fault.fatal;
        let violation = Box::new(fault.violation(version));
        if fatal && self.fatal.is_none() {
            self.fatal = Some(violation.clone());
        }
        self.violation.get_or_insert(violation);
    }
}

fn text(frame: &[u8], range: Range<usize>) -> Cow<'_, str> {
    let raw = frame.get(range).and_then(|raw| std::str::from_utf8(raw).ok());
    unescape(raw.unwrap_or_default())
}
