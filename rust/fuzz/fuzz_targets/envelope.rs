//! Random bytes as a frame, through every version's codec: parts are parts of the frame, and what passes
//! without a violation is the same after it was encoded again.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use voltgate_core::actions::Sender;
use voltgate_core::codec::Codec;
use voltgate_core::encode;
use voltgate_core::version::Version;
use voltgate_fuzz::{codec, unframed};

static CODECS: LazyLock<[Codec; 3]> = LazyLock::new(|| Version::ALL.map(codec));

fn check(codec: &Codec, frame: &[u8], sender: Sender) {
    let decoded = codec.decode(frame, sender);
    assert!(decoded.fatal.is_none() || decoded.violation.is_some());
    let ranges = [&decoded.message_id, &decoded.action, &decoded.code, &decoded.description];
    for range in ranges.into_iter().flatten().chain([&decoded.payload]) {
        assert!(range.start <= range.end && range.end <= frame.len());
    }
    for violation in [&decoded.violation, &decoded.fatal].into_iter().flatten() {
        assert!(violation.pointer.is_empty() || violation.pointer.starts_with('/'));
        assert!(!violation.reason.is_empty());
    }
    if decoded.violation.is_some() {
        return;
    }
    // A byte order mark is tolerated (docs/contract.md 2.1).
    let text = frame.strip_prefix(b"\xef\xbb\xbf").unwrap_or(frame);
    serde_json::from_slice::<serde_json::Value>(text).expect("another parser takes it too");
    let (id, payload) = (decoded.message_id(frame).expect("an id"), decoded.payload(frame));
    let again = match decoded.kind {
        Some(2) => encode::call(&id, &decoded.action(frame).expect("an action"), payload),
        Some(3) => encode::result(&id, payload),
        _ => return,
    };
    let text = unframed(&again);
    let second = codec.decode(text, sender);
    assert_eq!(second.violation, None);
    assert_eq!((second.kind, second.known), (decoded.kind, decoded.known));
    assert_eq!(second.message_id(text), decoded.message_id(frame));
    assert_eq!(second.payload(text), payload);
}

fuzz_target!(|bytes: &[u8]| {
    for codec in CODECS.iter() {
        for sender in [Sender::Charger, Sender::Csms] {
            check(codec, bytes, sender);
        }
    }
});
