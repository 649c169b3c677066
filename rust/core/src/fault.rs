//! What can be wrong with a frame, and how each version spells it (docs/contract.md 2.2, docs/ocpp.md A15).

use std::borrow::Cow;
use std::fmt::Write as _;

use crate::version::Version;

/// The kinds of violation of docs/contract.md 2.2; a version gives each its own spelling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// A value of another JSON type than the schema says.
    Type,
    /// required, minItems, maxItems.
    Occurrence,
    /// Broken JSON or envelope, unknown property, duplicate key, payload not an object.
    Formation,
    /// enum, maxLength, minimum, maximum, multipleOf, format; number or depth beyond limits.
    Property,
    /// An action the version does not know.
    NotImplemented,
    /// An action only the other side may send, or not in this kind of frame.
    NotSupported,
    /// No message id can be read, so nobody knows what to answer (docs/ocpp.md A11).
    Unreadable,
    /// A message type the version does not know (docs/ocpp.md A10).
    MessageType,
    /// A fault of ours.
    Internal,
}

impl Code {
    /// The CALLERROR code in the version's own spelling.
    #[must_use]
    pub const fn spelling(self, version: Version) -> &'static str {
        let own = &version.rules().codes;
        match self {
            Self::Type => "TypeConstraintViolation",
            Self::Occurrence => own.occurrence,
            Self::Formation => own.formation,
            Self::Unreadable => own.unreadable,
            Self::Property => "PropertyConstraintViolation",
            Self::NotImplemented => "NotImplemented",
            Self::NotSupported => "NotSupported",
            Self::MessageType => own.message_type,
            Self::Internal => "InternalError",
        }
    }
}

/// `code` in the version's own spelling; foreign spellings are accepted, and what 1.6 has no word for
/// gets the word our own refusals use. `None` where it is no code of OCPP.
#[must_use]
pub fn error_code(version: Version, code: &str) -> Option<&'static str> {
    let own = match code {
        "FormationViolation" | "FormatViolation" => Code::Formation,
        "OccurenceConstraintViolation" | "OccurrenceConstraintViolation" => Code::Occurrence,
        "RpcFrameworkError" => Code::Unreadable,
        "MessageTypeNotSupported" => Code::MessageType,
        _ => return version.rules().error_codes.iter().find(|known| **known == code).copied(),
    };
    Some(own.spelling(version))
}

/// A refusal as the other side and the reject fact get it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The CALLERROR code in the version's spelling.
    pub code: &'static str,
    /// RFC 6901 pointer into the payload; empty for the payload itself and for the envelope.
    pub pointer: String,
    /// One sentence for a person. Never quotes a value of the user's, only names of the schema.
    pub reason: String,
}

/// A key of the user's inside a pointer is cut here, so that a pointer fits a header.
const KEY_LIMIT: usize = 64;

/// A fault on its way up: the path is collected from the inside out while the recursion unwinds.
#[derive(Clone, Debug)]
pub(crate) struct Fault {
    pub code: Code,
    /// Whether no validation level passes it on (docs/contract.md 2.2, last lines).
    pub fatal: bool,
    pub reason: Cow<'static, str>,
    path: Vec<String>,
}

impl Fault {
    pub fn new(code: Code, fatal: bool, reason: impl Into<Cow<'static, str>>) -> Self {
        Self { code, fatal, reason: reason.into(), path: Vec::new() }
    }

    /// A fault of ours: nobody said what is wrong.
    pub fn unexplained() -> Self {
        Self::new(Code::Internal, true, "the frame could not be judged")
    }

    pub fn under_key(&mut self, key: &str) {
        let mut step: String = key.chars().take(KEY_LIMIT).collect();
        if step.len() < key.len() {
            step.push('…');
        }
        self.path.push(step.replace('~', "~0").replace('/', "~1"));
    }

    pub fn under_index(&mut self, index: usize) {
        self.path.push(index.to_string());
    }

    pub fn violation(self, version: Version) -> Violation {
        let pointer = self.path.iter().rev().fold(String::new(), |mut pointer, step| {
            let _ = write!(pointer, "/{step}");
            pointer
        });
        Violation { code: self.code.spelling(version), pointer, reason: self.reason.into_owned() }
    }
}
