//! The business key of a message (docs/contract.md 3.3): equal keys of two facts mean one message.
//!
//! A resend has the key of its first sending, whatever its message id, connection or process (docs/ocpp.md C).

use sha2::{Digest, Sha256};

use crate::noted::Members;
use crate::token::{ascii, push_token};
use crate::version::Version;

/// A CALL or SEND with a known action.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    /// The action, with `-Signed` where it came so.
    pub action: &'a str,
    /// The message id.
    pub id: &'a str,
    /// The payload's bytes as they travel.
    pub payload: &'a [u8],
    /// The payload's members, noted while it was decoded.
    pub members: Members<'a>,
}

impl<'a> Message<'a> {
    /// A message that was not decoded from a frame: its payload is read for its members.
    #[must_use]
    pub fn new(action: &'a str, id: &'a str, payload: &'a [u8]) -> Self {
        Self { action, id, payload, members: Members::of(payload) }
    }
}

/// The connection a message came on. `token` and `session` are escaped (docs/contract.md 3.1).
#[derive(Clone, Copy, Debug)]
pub struct Origin<'a> {
    /// The OCPP version of the connection.
    pub version: Version,
    /// The identity as a token.
    pub token: &'a str,
    /// The session id as a token.
    pub session: &'a str,
}

/// The key `ocpp-key` of a message.
#[must_use]
pub fn key(origin: &Origin, message: &Message) -> String {
    let mut out = Vec::with_capacity(128);
    push_key(&mut out, origin, message);
    ascii(out)
}

/// Writes the key in the first of its three forms that fits.
pub(crate) fn push_key(out: &mut Vec<u8>, origin: &Origin, message: &Message) {
    let (rules, action) = (origin.version.rules(), message.action);
    out.extend_from_slice(origin.token.as_bytes());
    let event = rules.transaction_event && action == "TransactionEvent";
    if let Some(parts) = event.then(|| message.members.transaction_event()).flatten() {
        for part in parts {
            push_part(out, &part);
        }
    } else if event || rules.keyed_by_content.contains(&action) {
        push_content(out, origin, message);
    } else {
        push_plain(out, origin.session);
        push_part(out, message.id);
    }
}

/// The first 32 hex digits of SHA-256 over key, LF, payload: only an identical message is ever dropped.
///
/// A key made of content holds the hash of the same payload. The two cannot be one pass: the payload stands
/// behind the key here, so this hash can only begin when that one is known, and from another state.
pub(crate) fn nats_id(key: &[u8], payload: &[u8]) -> [u8; 32] {
    hex(Sha256::new().chain_update(key).chain_update(b"\n").chain_update(payload))
}

fn push_content(out: &mut Vec<u8>, origin: &Origin, message: &Message) {
    push_part(out, message.action);
    out.push(b'/');
    out.extend_from_slice(&hex(Sha256::new().chain_update(message.payload)));
    // A charger without a clock sends the same bytes again after each boot, and means something new.
    if !message.members.clocked {
        push_plain(out, origin.session);
    }
}

fn push_part(out: &mut Vec<u8>, part: &str) {
    out.push(b'/');
    push_token(out, part);
}

fn push_plain(out: &mut Vec<u8>, token: &str) {
    out.push(b'/');
    out.extend_from_slice(token.as_bytes());
}

/// The first 32 digits, lower case.
fn hex(hash: Sha256) -> [u8; 32] {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let mut digits = [0; 32];
    for (pair, byte) in digits.chunks_exact_mut(2).zip(hash.finalize()) {
        pair.copy_from_slice(&[HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
    }
    digits
}
