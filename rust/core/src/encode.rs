//! The gateway's frames: one OCPP-J message as one unmasked websocket text frame (RFC 6455 §5.2).

/// Characters of an error's description (docs/ocpp.md A5).
const DESCRIPTION_LIMIT: usize = 255;

/// `[2,id,action,payload]`. Payloads are copied unchanged, here and below.
#[must_use]
pub fn call(message_id: &str, action: &str, payload: &[u8]) -> Vec<u8> {
    message(b'2', &[message_id, action], payload)
}

/// `[3,id,payload]`.
#[must_use]
pub fn result(message_id: &str, payload: &[u8]) -> Vec<u8> {
    message(b'3', &[message_id], payload)
}

/// The same, behind what is in `out`.
pub(crate) fn push_result(out: &mut Vec<u8>, message_id: &str, payload: &[u8]) {
    push(out, b'3', &[message_id], payload);
}

/// `[4,id,code,description,{}]`; the description is cut at 255 characters.
#[must_use]
pub fn error(message_id: &str, code: &str, description: &str) -> Vec<u8> {
    message(b'4', &[message_id, code, cut(description)], b"{}")
}

/// `[5,id,code,description,{}]` (2.1), likewise.
#[must_use]
pub fn result_error(message_id: &str, code: &str, description: &str) -> Vec<u8> {
    message(b'5', &[message_id, code, cut(description)], b"{}")
}

/// The JSON text of a frame that was made here.
#[must_use]
pub fn text(frame: &[u8]) -> &[u8] {
    let header = match frame[1] {
        126 => 4,
        127 => 10,
        _ => 2,
    };
    &frame[header..]
}

fn cut(text: &str) -> &str {
    text.char_indices().nth(DESCRIPTION_LIMIT).map_or(text, |(end, _)| &text[..end])
}

fn message(kind: u8, strings: &[&str], payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    push(&mut frame, kind, strings, payload);
    frame
}

fn push(frame: &mut Vec<u8>, kind: u8, strings: &[&str], payload: &[u8]) {
    let size = 4 + payload.len() + strings.iter().map(|text| 3 + escaped_len(text)).sum::<usize>();
    frame.reserve(size + 10);
    header(frame, size);
    frame.extend([b'[', kind, b',']);
    for text in strings {
        frame.push(b'"');
        escape(frame, text);
        frame.extend(b"\",");
    }
    frame.extend(payload);
    frame.push(b']');
}

fn header(frame: &mut Vec<u8>, size: usize) {
    frame.push(0x81); // FIN, text
    match (u8::try_from(size), u16::try_from(size)) {
        (Ok(short @ 0..=125), _) => frame.push(short),
        (_, Ok(medium)) => {
            frame.push(126);
            frame.extend(medium.to_be_bytes());
        }
        _ => {
            frame.push(127);
            frame.extend((size as u64).to_be_bytes());
        }
    }
}

const fn width(byte: u8) -> usize {
    match byte {
        b'"' | b'\\' => 2,
        0..0x20 => 6,
        _ => 1,
    }
}

fn escaped_len(text: &str) -> usize {
    text.bytes().map(width).sum()
}

fn escape(frame: &mut Vec<u8>, text: &str) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    for byte in text.bytes() {
        match width(byte) {
            1 => frame.push(byte),
            2 => frame.extend([b'\\', byte]),
            _ => {
                frame.extend(b"\\u00");
                frame.extend([HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
            }
        }
    }
}
