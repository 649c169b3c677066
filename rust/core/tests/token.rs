//! Tokens and header values: the vectors shared with Python, and properties of any identity.

#![allow(clippy::disallowed_methods, reason = "the size of a property test comes from the environment")]

use std::collections::HashMap;

use proptest::prelude::*;
use serde_json::Value;
use voltgate_core::token::{header_value, identity, token};

fn vectors(table: &str) -> Vec<Value> {
    let all: Value = serde_json::from_str(include_str!("../../../tests/vectors/tokens.json")).unwrap();
    all[table].as_array().unwrap().clone()
}

fn text<'a>(row: &'a Value, cell: &str) -> &'a str {
    row[cell].as_str().unwrap()
}

#[test]
fn an_identity_and_its_token_are_one_another_s_inverse() {
    for row in vectors("tokens") {
        assert_eq!(token(text(&row, "identity")), text(&row, "token"), "{}", row["why"]);
        assert_eq!(identity(text(&row, "token")).as_deref(), Ok(text(&row, "identity")), "{}", row["why"]);
    }
}

#[test]
fn what_no_identity_maps_to_is_refused() {
    for row in vectors("refused") {
        assert!(identity(text(&row, "token")).is_err(), "{}", row["why"]);
    }
}

#[test]
fn a_header_value_is_printable_ascii() {
    for row in vectors("header_values") {
        assert_eq!(header_value(text(&row, "text")), text(&row, "value"), "{}", row["why"]);
    }
}

/// Usual and unusual identities. A million values of a proptest strategy
/// take minutes; these take seconds.
struct Identities(u64);

impl Identities {
    /// `SplitMix64`.
    fn below(&mut self, bound: u32) -> u32 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        u32::try_from((z ^ (z >> 31)) >> 32).unwrap() % bound
    }

    fn character(&mut self) -> char {
        const ODD: &[u8] = b" .*>%=_-/|+:\"\\$#\t\r\n";
        match self.below(8) {
            0..=2 => char::from(b'a' + u8::try_from(self.below(26)).unwrap()),
            3 => char::from(b'0' + u8::try_from(self.below(10)).unwrap()),
            4 | 5 => char::from(ODD[self.below(u32::try_from(ODD.len()).unwrap()) as usize]),
            6 => char::from(1 + u8::try_from(self.below(255)).unwrap()),
            _ => char::from_u32(1 + self.below(0x0010_FFFF)).unwrap_or('\u{FFFD}'),
        }
    }
}

impl Iterator for Identities {
    type Item = String;

    fn next(&mut self) -> Option<String> {
        let length = 1 + self.below(48);
        Some((0..length).map(|_| self.character()).collect())
    }
}

/// The size of the property test: a million with `TEST_FULL=1`.
fn cases() -> usize {
    if std::env::var("TEST_FULL").as_deref() == Ok("1") { 1_000_000 } else { 20_000 }
}

fn is_subject_token(token: &str) -> bool {
    !token.is_empty() && token.bytes().all(|b| b.is_ascii_graphic() && !b".*>".contains(&b))
}

/// The check of nats-py and nats-server: `^[-/_=\.a-zA-Z0-9]+$`, no dot at either end.
fn is_kv_key(key: &str) -> bool {
    let legal = |b: u8| b.is_ascii_alphanumeric() || b"-/_=.".contains(&b);
    !key.is_empty() && key.bytes().all(legal) && !key.starts_with('.') && !key.ends_with('.')
}

#[test]
fn every_identity_has_a_token_of_its_own() {
    let mut seen: HashMap<String, String> = HashMap::new();
    for own in Identities(7) {
        if seen.len() == cases() {
            break;
        }
        let made = token(&own);
        assert!(is_subject_token(&made), "one NATS token: {own:?} {made}");
        assert!(is_kv_key(&made), "a legal KV key: {own:?} {made}");
        assert_eq!(identity(&made).as_ref(), Ok(&own), "reversible: {made}");
        if let Some(other) = seen.insert(made, own.clone()) {
            assert_eq!(other, own, "injective");
        }
    }
}

proptest! {
    #[test]
    fn a_token_is_refused_or_the_only_one_of_its_identity(text in "[A-Za-z0-9=_.% -]{0,12}|\\PC{0,8}") {
        if let Ok(own) = identity(&text) {
            prop_assert_eq!(token(&own), text);
        }
    }

    #[test]
    fn a_header_value_is_one_line_and_can_be_read_back(text in any::<String>()) {
        let value = header_value(&text);
        prop_assert!(value.trim() == value && value.bytes().all(|b| b == b' ' || b.is_ascii_graphic()));
        let mut bytes = Vec::new();
        let mut rest = value.as_bytes();
        while let [byte, tail @ ..] = rest {
            rest = tail;
            if *byte == b'%' {
                let digits = std::str::from_utf8(&rest[..2]).unwrap();
                bytes.push(u8::from_str_radix(digits, 16).unwrap());
                rest = &rest[2..];
            } else {
                bytes.push(*byte);
            }
        }
        prop_assert_eq!(String::from_utf8(bytes).unwrap(), text);
    }
}
