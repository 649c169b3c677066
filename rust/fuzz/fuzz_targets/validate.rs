//! Random bytes as the payload of any action: what is judged alone and inside its frame is judged the same, and
//! what passes is JSON to another parser too.
//!
//! The first two bytes choose version, kind and action.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use voltgate_core::actions::Sender;
use voltgate_core::codec::{Codec, Kind};
use voltgate_core::version::Version;
use voltgate_fuzz::codec;

static CODECS: LazyLock<[Codec; 3]> = LazyLock::new(|| Version::ALL.map(codec));

fuzz_target!(|bytes: &[u8]| {
    let [how, action, payload @ ..] = bytes else { return };
    let codec = &CODECS[usize::from(how & 3) % 3];
    let entry = &codec.entries()[usize::from(*action) % codec.entries().len()];
    let kind = [Kind::Request, Kind::Response][usize::from(how >> 2 & 1)];
    let alone = codec.check(entry.name, kind, payload);
    if alone.is_none() {
        let value: Value = serde_json::from_slice(payload).expect("another parser takes it too");
        assert!(value.is_object() || (value.is_null() && codec.version() == Version::V16));
    }
    if kind == Kind::Response || entry.sender == Sender::Csms || entry.name == "NotifyPeriodicEventStream" {
        return;
    }
    let frame = [br#"[2,"1",""#, entry.name.as_bytes(), br#"","#, payload, b"]"].concat();
    let inside = codec.decode(&frame, Sender::Charger);
    let whole = inside.violation.is_none() && inside.payload(&frame) == payload;
    match (alone, inside.violation) {
        (None, inside) => assert_eq!(inside, None),
        (Some(alone), None) => assert!(!whole, "{alone:?}"),
        // Where the JSON is broken, the end of the frame may close a list that the payload left open.
        (Some(alone), Some(inside)) if !alone.pointer.is_empty() && !alone.reason.starts_with("broken") => {
            assert_eq!((alone.code, alone.pointer), (inside.code, inside.pointer));
        }
        _ => {}
    }
});
