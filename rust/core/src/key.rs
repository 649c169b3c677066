//! The business key of a message (CONTRACT 3.3): what a consumer uses to see that two facts are one message.
//!
//! A resend has the key of its first sending, whatever its message id, connection or process (OCPP.md C).

use sha2::{Digest, Sha256};

use crate::members::{Member, Members};
use crate::token::{ascii, push_token};
use crate::version::Version;

/// A lenient payload may hold a transaction id of any length; as part of a key it would outgrow what NATS
/// takes for a message. The longest text OCPP allows anywhere in a key is 36 characters.
const PART_LIMIT: usize = 255;

/// What a key is made of. `token` and `session` are escaped (CONTRACT 3.1), the rest is as it came.
#[derive(Clone, Copy, Debug)]
pub struct Parts<'a> {
    /// The OCPP version of the connection.
    pub version: Version,
    /// The action, with `-Signed` where it came so.
    pub action: &'a str,
    /// The identity as a token.
    pub token: &'a str,
    /// The session id as a token.
    pub session: &'a str,
    /// The message id.
    pub message_id: &'a str,
    /// The payload's bytes as they travel.
    pub payload: &'a [u8],
}

/// Which of the three forms of CONTRACT 3.3 an action's key has.
enum Form {
    Transaction,
    Content,
    Message,
}

/// The key `ocpp-key` of a message.
#[must_use]
pub fn key(parts: &Parts) -> String {
    let mut out = Vec::with_capacity(128);
    push_key(&mut out, parts);
    ascii(out)
}

pub(crate) fn push_key(out: &mut Vec<u8>, parts: &Parts) {
    out.extend_from_slice(parts.token.as_bytes());
    match form(parts.version, parts.action) {
        Form::Transaction => {
            if let Some(event) = transaction_event(parts.payload) {
                for part in event {
                    push_part(out, &part);
                }
            } else {
                push_content(out, parts);
            }
        }
        Form::Content => push_content(out, parts),
        Form::Message => {
            push_plain(out, parts.session);
            push_part(out, parts.message_id);
        }
    }
}

/// The first 32 hex digits of SHA-256 over key, LF, payload: only an identical message is ever dropped.
pub(crate) fn nats_id(key: &[u8], payload: &[u8]) -> [u8; 32] {
    hex(Sha256::new().chain_update(key).chain_update(b"\n").chain_update(payload))
}

fn form(version: Version, action: &str) -> Form {
    match (version, action) {
        (Version::V16, "StartTransaction" | "StopTransaction" | "MeterValues") => Form::Content,
        (Version::V16, _) => Form::Message,
        (_, "TransactionEvent") => Form::Transaction,
        // A signed payload is a JWS (OCPP.md A16): its fields are out of sight, its bytes are not.
        (_, "MeterValues" | "MeterValues-Signed" | "TransactionEvent-Signed") => Form::Content,
        _ => Form::Message,
    }
}

/// `transactionId`, `seqNo` and `eventType`, where all three are there and of their type.
fn transaction_event(payload: &[u8]) -> Option<[String; 3]> {
    let (mut id, mut seq_no, mut event_type) = (None, None, None);
    let mut in_info = false;
    for member in Members::new(payload) {
        if member.depth == 1 {
            in_info = false;
            if member.is("transactionInfo") {
                in_info = true;
            } else if member.is("seqNo") {
                seq_no = Some(short(member.integer()?.into())?);
            } else if member.is("eventType") {
                event_type = Some(short(member.text()?)?);
            }
        } else if in_info && member.depth == 2 && member.is("transactionId") {
            id = Some(short(member.text()?)?);
        }
        if id.is_some() && seq_no.is_some() && event_type.is_some() {
            break;
        }
    }
    Some([id?, seq_no?, event_type?])
}

fn short(part: std::borrow::Cow<str>) -> Option<String> {
    (part.len() <= PART_LIMIT).then(|| part.into_owned())
}

fn push_content(out: &mut Vec<u8>, parts: &Parts) {
    push_part(out, parts.action);
    out.push(b'/');
    out.extend_from_slice(&hex(Sha256::new().chain_update(parts.payload)));
    // A charger without a clock sends the same bytes again after each boot, and means something new.
    if !Members::new(parts.payload).any(|member| is_clocked(&member)) {
        push_plain(out, parts.session);
    }
}

/// Whether the member is a timestamp that only a set clock gives: later than 2020.
fn is_clocked(member: &Member) -> bool {
    let Some(text) = member.is("timestamp").then(|| member.text()).flatten() else { return false };
    let [year @ .., b'-'] = &text.as_bytes()[..text.len().min(5)] else { return false };
    year.len() == 4 && year.iter().all(u8::is_ascii_digit) && year > b"2020".as_slice()
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
