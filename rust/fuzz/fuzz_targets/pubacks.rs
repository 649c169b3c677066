//! Random bytes, chunked by the first of them, through the parser of `PubAcks`: nothing is lost, everything stays in
//! its place, and the bytes that are held are bounded.
//!
//! A `%` stands for a `PubAck` of the inbox: its tag cannot be found by chance.
#![no_main]

use libfuzzer_sys::fuzz_target;
use voltgate_core::inbox::Inbox;
use voltgate_core::pubacks::PubAcks;

/// A line that is not whole, or a message that may be a `PubAck`.
const HELD: usize = 65 * 1024;

/// The counters that were taken, and the raw bytes, with a mark for each.
fn split<'a>(chunks: impl Iterator<Item = &'a [u8]>) -> (Vec<(u64, usize)>, Vec<u8>) {
    let mut acks = PubAcks::new(Inbox::new("x", [1, 2]), 1);
    let (mut taken, mut raw) = (Vec::new(), Vec::new());
    for chunk in chunks {
        let mut chunk = chunk;
        loop {
            let at = raw.len();
            let rest = acks.feed(chunk, |ack| {
                assert!(ack.seq > 0 && ack.body.len() < 513);
                taken.push((ack.counter, at));
            });
            raw.extend_from_slice(rest);
            if !acks.more() {
                break;
            }
            chunk = &[];
        }
    }
    (taken, raw)
}

fuzz_target!(|bytes: &[u8]| {
    let Some((size, bytes)) = bytes.split_first() else { return };
    let body = r#"{"stream":"T","seq":1}"#;
    let ack = format!("MSG {} 1 {}\r\n{body}\r\n", Inbox::new("x", [1, 2]).subject(5), body.len());
    let mut stream = Vec::new();
    for byte in bytes {
        match byte {
            b'%' => stream.extend_from_slice(ack.as_bytes()),
            byte => stream.push(*byte),
        }
    }
    let (taken, raw) = split(stream.chunks(usize::from(*size).max(1)));
    let (mut again, mut from) = (Vec::new(), 0);
    for (_, at) in taken {
        again.extend_from_slice(&raw[from..at]);
        again.extend_from_slice(ack.as_bytes());
        from = at;
    }
    again.extend_from_slice(&raw[from..]);
    assert!(stream.starts_with(&again));
    assert!(stream.len() - again.len() < HELD);
});
