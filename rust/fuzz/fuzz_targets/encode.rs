//! Random texts through the encoder: one websocket frame, in which another JSON parser finds the same texts.
//!
//! The first byte is the message type; zero bytes part message id, second text (action or code), description.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::{Value, json};
use voltgate_core::encode;
use voltgate_fuzz::unframed;

fuzz_target!(|bytes: &[u8]| {
    let Some((kind, bytes)) = bytes.split_first() else { return };
    let text = String::from_utf8_lossy(bytes);
    let mut parts = text.splitn(3, '\0');
    let mut next = || parts.next().unwrap_or_default();
    let (id, second, third) = (next(), next(), next());
    let payload = json!({ "text": third });
    let body = payload.to_string().into_bytes();
    let short: String = third.chars().take(255).collect();
    let (frame, wanted) = match kind % 4 {
        0 => (encode::call(id, second, &body), json!([2, id, second, payload])),
        1 => (encode::result(id, &body), json!([3, id, payload])),
        2 => (encode::error(id, second, third), json!([4, id, second, short, {}])),
        _ => (encode::result_error(id, second, third), json!([5, id, second, short, {}])),
    };
    let seen: Value = serde_json::from_slice(unframed(&frame)).expect("JSON");
    assert_eq!(seen, wanted);
});
