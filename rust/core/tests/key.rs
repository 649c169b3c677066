//! Business keys: the vectors shared with Python, and what holds for any bytes.

use proptest::prelude::*;
use serde_json::Value;
use voltgate_core::key::{Message, Origin, key};
use voltgate_core::token::token;
use voltgate_core::version::Version;

const ACTIONS: [&str; 5] =
    ["TransactionEvent", "TransactionEvent-Signed", "MeterValues", "StartTransaction", "Heartbeat"];

#[test]
fn a_key_is_what_the_contract_says() {
    let all: Value = serde_json::from_str(include_str!("../../../tests/vectors/keys.json")).unwrap();
    let token = token(all["identity"].as_str().unwrap());
    let session = all["session"].as_str().unwrap();
    for row in all["keys"].as_array().unwrap() {
        let cell = |name: &str| row[name].as_str().unwrap();
        let origin = Origin { version: Version::of_token(cell("version")).unwrap(), token: &token, session };
        let message = Message::new(cell("action"), cell("message_id"), cell("payload").as_bytes());
        assert_eq!(key(&origin, &message), cell("key"), "{}", row["why"]);
    }
}

fn of(version: Version, action: &str, session: &str, message_id: &str, payload: &[u8]) -> String {
    key(&Origin { version, token: "CP1", session }, &Message::new(action, message_id, payload))
}

/// JSON-like pieces in any order: nearly a payload, seldom a whole one.
fn rubble() -> impl Strategy<Value = Vec<u8>> {
    let pieces = [
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\"",
        "\\",
        "\\u",
        "\\ud800",
        "\"seqNo\"",
        "\"eventType\"",
        "\"timestamp\":\"",
        "\"transactionInfo\":{",
        "\"transactionId\":\"",
        "2026-",
        "2021",
        "-1",
        "1.5e",
        " ",
        "\n",
        "\u{e9}",
        "null",
    ];
    let piece = prop_oneof![
        8 => prop::sample::select(pieces.to_vec()).prop_map(|piece| piece.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..4),
    ];
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn any_bytes_have_a_key_of_legal_characters(
        bytes in prop_oneof![rubble(), prop::collection::vec(any::<u8>(), 0..200)],
        version in prop::sample::select(Version::ALL.to_vec()),
        action in prop::sample::select(ACTIONS.to_vec()),
        message_id in any::<String>(),
    ) {
        let key = of(version, action, "s1", &message_id, &bytes);
        prop_assert!(key.starts_with("CP1/"));
        prop_assert!(key.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_=/".contains(&b)), "{}", key);
    }

    #[test]
    fn a_resend_of_a_transaction_message_has_the_same_key_in_any_session(
        seq_no in any::<u32>(), id in "[ -~]{1,36}", first in "[a-z]{1,8}", second in "[a-z]{1,8}",
    ) {
        let info = serde_json::json!({"transactionId": id});
        let event = serde_json::json!({"eventType": "Updated", "seqNo": seq_no, "transactionInfo": info});
        let bytes = event.to_string().into_bytes();
        let key = of(Version::V201, "TransactionEvent", &first, &first, &bytes);
        prop_assert_eq!(&key, &format!("CP1/{}/{seq_no}/Updated", token(&id)));
        prop_assert_eq!(key, of(Version::V201, "TransactionEvent", &second, &second, &bytes));
    }
}
