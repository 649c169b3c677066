//! Random texts as identities, tokens and header values: each form is one-to-one, and legal where it is used.
#![no_main]

use libfuzzer_sys::fuzz_target;
use voltgate_core::token::{header_value, identity, token};

fn percent_decoded(value: &str) -> Vec<u8> {
    let (mut plain, mut rest) = (Vec::new(), value);
    while let Some((before, escape)) = rest.split_once('%') {
        plain.extend(before.bytes());
        plain.push(u8::from_str_radix(&escape[..2], 16).expect("two hex digits"));
        rest = &escape[2..];
    }
    plain.extend(rest.bytes());
    plain
}

fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    let made = token(&text);
    assert!(made.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-=".contains(&byte)));
    assert_eq!(identity(&made).ok().as_deref(), (!text.is_empty()).then_some(&*text));
    if let Ok(name) = identity(&text) {
        assert_eq!(token(&name), text);
    }
    let value = header_value(&text);
    assert!(value.bytes().all(|byte| (b' '..=b'~').contains(&byte)));
    assert_eq!(value.trim(), value);
    assert_eq!(percent_decoded(&value), text.as_bytes());
});
