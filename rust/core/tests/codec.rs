//! The codec against the vectors shared with Python, and against random bytes.
//!
//! The schemas are those of the installed package `ocpp`; this repository has no copy.

#![allow(clippy::disallowed_methods, reason = "the core reads no files; its tests read vectors and schemas")]

mod schemas;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::LazyLock;

use proptest::prelude::*;
use schemas::compile;
use serde_json::Value;
use voltgate_core::actions::{Sender, actions};
use voltgate_core::codec::{Codec, Kind};
use voltgate_core::fault::Violation;
use voltgate_core::frame::Decoded;
use voltgate_core::key::{Message, Origin, key};
use voltgate_core::version::Version;

static CODECS: LazyLock<[Codec; 3]> = LazyLock::new(|| Version::ALL.map(compile));
static CODES: LazyLock<Value> = LazyLock::new(|| vectors("codec_codes.json"));
static FRAMES: LazyLock<Vec<String>> = LazyLock::new(|| {
    let rows = vectors("codec_frames.json");
    rows.as_array().unwrap().iter().filter_map(|row| row["frame"].as_str().map(str::to_owned)).collect()
});

fn vectors(name: &str) -> Value {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/vectors").join(name);
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// Every row of a file, with every codec that it applies to.
fn rows(name: &str) -> Vec<(&'static Codec, Value)> {
    let mut all = Vec::new();
    for row in vectors(name).as_array().unwrap() {
        for codec in CODECS.iter() {
            let on = |versions: &Vec<Value>| versions.iter().any(|token| token == codec.version().token());
            if row["on"].as_array().is_none_or(on) {
                all.push((codec, row.clone()));
            }
        }
    }
    all
}

fn spelled(codec: &Codec, expected: &Value) -> Option<(String, String)> {
    let code = &CODES[expected[0].as_str()?][codec.version().token()];
    Some((code.as_str()?.to_owned(), expected[1].as_str()?.to_owned()))
}

fn seen(violation: Option<&Violation>) -> Option<(String, String)> {
    violation.map(|violation| (violation.code.to_owned(), violation.pointer.clone()))
}

#[test]
fn frames_are_taken_apart_and_judged() {
    for (codec, row) in rows("codec_frames.json") {
        let bytes = match row["hex"].as_str() {
            Some(hex) => hex
                .as_bytes()
                .chunks(2)
                .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
                .collect(),
            None => row["frame"].as_str().unwrap().as_bytes().to_vec(),
        };
        let sender = if row["sender"] == "csms" { Sender::Csms } else { Sender::Charger };
        let decoded = codec.decode(&bytes, sender);
        let is = format!("{} {}", codec.version().token(), row["is"]);
        assert_eq!(decoded.kind.map(u64::from), row["type"].as_u64(), "{is}");
        assert_eq!(decoded.message_id(&bytes).as_deref(), row["id"].as_str(), "{is}");
        assert_eq!(decoded.action(&bytes).as_deref(), row["action"].as_str(), "{is}");
        assert_eq!(decoded.known.is_some(), row["known"] == true, "{is}");
        assert_eq!(decoded.payload(&bytes), row["payload"].as_str().unwrap_or("").as_bytes(), "{is}");
        assert_eq!(decoded.code(&bytes).as_deref(), row["code"].as_str(), "{is}");
        assert_eq!(decoded.description(&bytes).as_deref(), row["description"].as_str(), "{is}");
        assert_eq!(seen(decoded.violation.as_deref()), spelled(codec, &row["violation"]), "{is}");
        assert_eq!(seen(decoded.fatal.as_deref()), spelled(codec, &row["fatal"]), "{is}");
        assert_eq!(decoded.binary, row["text"] == false, "{is}");
        assert_eq!(decoded.noted.id_token, row["id_token"] == true, "{is}");
    }
}

#[test]
fn payloads_are_judged() {
    for (codec, row) in rows("codec_payloads.json") {
        let kind = if row["kind"] == "response" { Kind::Response } else { Kind::Request };
        let verdict =
            codec.check(row["action"].as_str().unwrap(), kind, row["payload"].as_str().unwrap().as_bytes());
        assert_eq!(seen(verdict.as_ref()), spelled(codec, &row["violation"]), "{}", row["is"]);
    }
}

#[test]
fn formats_follow_their_rfc() {
    for row in vectors("codec_formats.json").as_array().unwrap() {
        let text = row["text"].as_str().unwrap();
        let (location, date) =
            if row["format"] == "uri" { (text, "2025-01-01T00:00:00Z") } else { ("a:b", text) };
        let payload = format!(r#"{{"location":"{location}","retrieveDate":"{date}"}}"#);
        let verdict = CODECS[0].check("UpdateFirmware", Kind::Request, payload.as_bytes());
        assert_eq!(verdict.is_none(), row["valid"] == true, "{row}");
    }
}

#[test]
fn equal_schema_nodes_stand_once() {
    let counts: HashMap<_, _> = CODECS.iter().map(|codec| (codec.version(), codec.nodes())).collect();
    assert!(counts[&Version::V16] <= 161 && counts[&Version::V201] <= 543 && counts[&Version::V21] <= 1082);
}

#[test]
fn every_version_has_its_actions_and_every_row_a_version() {
    let rows = include_str!("../src/actions.tsv").lines().skip(1).count();
    let counts = Version::ALL.map(|version| actions(version).len());
    assert!(counts.iter().all(|count| *count > 0));
    assert_eq!(counts.iter().sum::<usize>(), rows);
}

#[test]
fn a_version_refuses_with_its_own_codes() {
    for rules in Version::ALL.map(Version::rules) {
        let own = &rules.codes;
        for code in [own.occurrence, own.formation, own.unreadable, own.message_type] {
            assert!(rules.error_codes.contains(&code), "{code} in {}", rules.token);
        }
    }
}

/// The key does not depend on the pass that recorded the payload's members.
fn same_key(codec: &Codec, decoded: &Decoded, bytes: &[u8]) -> Option<String> {
    let (action, id, payload) = (decoded.action(bytes)?, decoded.message_id(bytes)?, decoded.payload(bytes));
    let origin = Origin { version: codec.version(), token: "CP=201", session: "s-1" };
    let message =
        Message { action: &action, id: &id, payload, members: decoded.members(bytes), latin1: false };
    let key = key(&origin, &message);
    assert_eq!(key, self::key(&origin, &Message::new(&action, &id, payload)));
    Some(key)
}

#[test]
fn a_decoded_payload_has_the_key_the_vectors_say() {
    for row in vectors("keys.json")["keys"].as_array().unwrap() {
        let cell = |name: &str| row[name].as_str().unwrap();
        let codec = CODECS.iter().find(|codec| codec.version().token() == cell("version")).unwrap();
        let id = serde_json::to_string(cell("message_id")).unwrap();
        let frame = format!("[2,{id},\"{}\",{}]", cell("action"), cell("payload")).into_bytes();
        let decoded = codec.decode(&frame, Sender::Charger);
        if decoded.payload(&frame) == cell("payload").as_bytes() {
            assert_eq!(same_key(codec, &decoded, &frame).as_deref(), Some(cell("key")), "{}", row["why"]);
        } else {
            assert!(decoded.fatal.is_some(), "{}", row["why"]);
        }
    }
}

/// Properties of any input.
fn sound(bytes: &[u8]) {
    for codec in CODECS.iter() {
        for sender in [Sender::Charger, Sender::Csms] {
            let decoded = codec.decode(bytes, sender);
            if !decoded.payload(bytes).is_empty() {
                same_key(codec, &decoded, bytes);
            }
            let places = [&decoded.message_id, &decoded.action, &decoded.code, &decoded.description];
            for place in places.into_iter().flatten().chain([&decoded.payload]) {
                assert!(place.start <= place.end && place.end <= bytes.len());
            }
            assert!(decoded.fatal.is_none() || decoded.violation.is_some());
            if decoded.violation.is_none() {
                // A byte order mark before the JSON is ignored (RFC 8259 8.1).
                let text = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes);
                let json: Value = serde_json::from_slice(text).expect("what passes is JSON");
                assert_eq!(json[0].as_u64(), decoded.kind.map(u64::from));
                assert_eq!(json[1].as_str(), decoded.message_id(bytes).as_deref());
            }
        }
        let _ = codec.check("Heartbeat", Kind::Request, bytes);
    }
}

/// `TEST_FULL=1` runs the full size.
fn cases() -> u32 {
    if std::env::var("TEST_FULL").is_ok_and(|full| full == "1") { 50_000 } else { 1_000 }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases()))]

    #[test]
    fn any_bytes_have_an_answer(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        sound(&bytes);
    }

    #[test]
    fn any_json_like_text_has_an_answer(text in r#"\[[2-6],"[a-z\\u0-9]{0,9}",("(Authorize|DataTransfer)",)?[\[\]{}",:0-9eE.\-+\\ua-fntrl ]{0,60}\]?"#) {
        sound(text.as_bytes());
    }

    #[test]
    fn damaged_frames_have_an_answer(
        which in any::<prop::sample::Index>(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), 0usize..3, prop::collection::vec(any::<u8>(), 0..3)), 0..4),
    ) {
        let mut bytes = which.get(&FRAMES).clone().into_bytes();
        for (place, cut, put) in damage {
            let start = place.index(bytes.len() + 1);
            let end = (start + cut).min(bytes.len());
            bytes.splice(start..end, put);
        }
        sound(&bytes);
    }

    #[test]
    fn every_prefix_of_a_frame_has_an_answer(which in any::<prop::sample::Index>()) {
        let frame = which.get(&FRAMES);
        (0..frame.len()).for_each(|end| sound(&frame.as_bytes()[..end]));
    }
}
