//! Reading the envelope of OCPP-J in text order (docs/ocpp.md A5-A16), the payload on the way.

use std::mem;
use std::ops::Range;

use crate::actions::Sender;
use crate::codec::{Codec, Entry, Kind};
use crate::fault::{Code, Fault};
use crate::frame::Decoded;
use crate::json::{Cursor, Halt, Step};
use crate::noted::Noted;
use crate::text::Text;

/// Characters of a message id (docs/ocpp.md A6), and how many can still be answered (docs/contract.md 2.2).
const ID_LIMIT: usize = 36;
const ID_READABLE: usize = 255;

impl Codec {
    /// Judges one text frame. Any bytes have an answer.
    #[must_use]
    pub fn decode(&self, frame: &[u8], sender: Sender) -> Decoded {
        let mut decoded = Decoded::default();
        let Ok(text) = std::str::from_utf8(frame) else {
            decoded.binary = true;
            decoded.note(Fault::new(Code::Unreadable, true, "the frame is not UTF-8"), self.version);
            return decoded;
        };
        let mut cursor = Cursor::new(text);
        if self.envelope(&mut cursor, &mut decoded, sender).is_err() {
            self.stopped(&mut cursor, &mut decoded);
        }
        decoded
    }

    /// Notes the fault that stopped the cursor. Before a message id is read it leaves nothing to answer to.
    #[cold]
    fn stopped(&self, cursor: &mut Cursor, decoded: &mut Decoded) {
        let mut fault = cursor.fault.take().map_or_else(Fault::unexplained, |fault| *fault);
        if decoded.message_id.is_none() {
            fault = Fault::new(Code::Unreadable, true, fault.reason);
        }
        decoded.note(fault, self.version);
    }

    #[cold]
    fn refuse(&self, decoded: &mut Decoded, code: Code, reason: &'static str) {
        decoded.note(Fault::new(code, true, reason), self.version);
    }

    fn envelope(&self, cursor: &mut Cursor, decoded: &mut Decoded, sender: Sender) -> Step {
        cursor.space();
        if !cursor.eat(b'[') {
            return Err(cursor.broken("the frame is not a JSON array"));
        }
        cursor.space();
        decoded.kind = self.kind(cursor)?;
        if decoded.kind.is_none() {
            self.refuse(decoded, Code::MessageType, "a message type this version does not know");
        }
        element(cursor)?;
        let id = string_element(cursor, "the message id is not a string")?;
        if id.longer_than(ID_READABLE) {
            return Err(cursor.broken("the message id is longer than 255 characters"));
        }
        decoded.message_id = Some(range(cursor, id));
        if id.longer_than(ID_LIMIT) {
            self.refuse(decoded, Code::Formation, "the message id is longer than 36 characters");
        }
        match decoded.kind {
            Some(2) => self.call(cursor, decoded, Kind::Request, sender)?,
            Some(6) => self.call(cursor, decoded, Kind::Send, sender)?,
            Some(3) => {
                element(cursor)?;
                self.payload(cursor, decoded, None)?;
            }
            Some(_) => self.error(cursor, decoded)?,
            // An unknown type may have any elements: nothing more is known about it.
            None => return Ok(()),
        }
        end(cursor)
    }

    /// The message type: `None` for any value that is none of this version's numbers.
    #[inline]
    fn kind(&self, cursor: &mut Cursor) -> Result<Option<u8>, Halt> {
        let start = cursor.at;
        cursor.value()?;
        let end = cursor.at;
        cursor.space();
        if !matches!(cursor.peek(), b',' | b']') {
            return Err(cursor.broken("broken JSON: the message type does not end"));
        }
        let kind = match &cursor.text.as_bytes()[start..end] {
            [digit @ b'2'..=b'4'] => Some(digit - b'0'),
            [digit @ b'5'..=b'6'] if self.version.rules().result_errors => Some(digit - b'0'),
            _ => None,
        };
        Ok(kind)
    }

    fn call(&self, cursor: &mut Cursor, decoded: &mut Decoded, kind: Kind, sender: Sender) -> Step {
        element(cursor)?;
        let action = string_element(cursor, "the action is not a string")?;
        decoded.action = Some(range(cursor, action));
        decoded.known = self.find(&action.plain());
        let node = match decoded.known {
            None => {
                self.refuse(decoded, Code::NotImplemented, "an action this version does not know");
                None
            }
            Some((index, signed)) => match allowed(&self.entries[index], kind, sender) {
                Ok(node) => (!signed).then_some(node),
                Err(reason) => {
                    self.refuse(decoded, Code::NotSupported, reason);
                    None
                }
            },
        };
        element(cursor)?;
        self.payload(cursor, decoded, node)
    }

    /// A payload object against its node, or by its form alone where there is none.
    fn payload(&self, cursor: &mut Cursor, decoded: &mut Decoded, node: Option<u32>) -> Step {
        let start = cursor.at;
        if self.version.rules().null_payload && cursor.literal("null") {
            decoded.null = true;
            decoded.payload = start..cursor.at;
            if let Some(fault) = node.and_then(|node| self.judge_empty(node)) {
                decoded.note(fault, self.version);
            }
            return Ok(());
        }
        if cursor.peek() != b'{' {
            cursor.value()?;
            self.refuse(decoded, Code::Formation, "the payload is not an object");
        } else if let Some(node) = node {
            if self.tables.value(cursor, node).is_err() {
                self.rescan(cursor, decoded, start)?;
            }
        } else {
            cursor.value()?;
        }
        decoded.payload = start..cursor.at;
        decoded.noted = mem::take(&mut cursor.noted);
        Ok(())
    }

    /// After a violation of the schema, once more from the start by form alone: something worse may follow.
    #[cold]
    fn rescan(&self, cursor: &mut Cursor, decoded: &mut Decoded, start: usize) -> Step {
        if cursor.fault.as_ref().is_none_or(|fault| fault.fatal) {
            return Err(Halt);
        }
        self.stopped(cursor, decoded);
        cursor.at = start;
        cursor.depth = 0;
        cursor.noted = Noted::default();
        cursor.value()
    }

    fn error(&self, cursor: &mut Cursor, decoded: &mut Decoded) -> Step {
        element(cursor)?;
        let code = string_element(cursor, "the error code is not a string")?;
        decoded.code = Some(range(cursor, code));
        element(cursor)?;
        let description = string_element(cursor, "the error description is not a string")?;
        decoded.description = Some(range(cursor, description));
        element(cursor)?;
        let start = cursor.at;
        let object = cursor.peek() == b'{';
        cursor.value()?;
        decoded.payload = start..cursor.at;
        if !object {
            self.refuse(decoded, Code::Formation, "the error details are not an object");
        }
        Ok(())
    }
}

/// The schema node of an action's CALL or SEND, if this side may send it so.
#[inline]
fn allowed(entry: &Entry, kind: Kind, sender: Sender) -> Result<u32, &'static str> {
    if entry.sender != Sender::Both && entry.sender != sender {
        return Err("an action only the other side may send");
    }
    match (kind, entry.node(kind)) {
        (_, Some(node)) => Ok(node),
        (Kind::Send, None) => Err("an action that is a CALL, not a SEND"),
        (_, None) => Err("an action that is a SEND, not a CALL"),
    }
}

/// The comma before another element.
#[inline]
fn element(cursor: &mut Cursor) -> Step {
    cursor.space();
    if !cursor.eat(b',') {
        return Err(match cursor.peek() {
            b']' => cursor.broken("the frame has too few elements"),
            _ => cursor.broken("broken JSON: a comma or a closing bracket is missing"),
        });
    }
    cursor.space();
    Ok(())
}

#[inline]
fn string_element<'a>(cursor: &mut Cursor<'a>, reason: &'static str) -> Result<Text<'a>, Halt> {
    if cursor.peek() != b'"' {
        return Err(cursor.broken(reason));
    }
    cursor.string()
}

/// The end of the array and of the frame.
#[inline]
fn end(cursor: &mut Cursor) -> Step {
    cursor.space();
    if !cursor.eat(b']') {
        return Err(match cursor.peek() {
            b',' => cursor.broken("the frame has too many elements"),
            _ => cursor.broken("broken JSON: the closing bracket of the frame is missing"),
        });
    }
    cursor.space();
    if cursor.at < cursor.text.len() {
        return Err(cursor.broken("text after the frame"));
    }
    Ok(())
}

/// Where a string token just read stands.
#[inline]
fn range(cursor: &Cursor, text: Text) -> Range<usize> {
    let end = cursor.at - 1;
    end - text.raw.len()..end
}
