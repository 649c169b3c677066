//! The slicer alone: its bounds, and that the chunking of the input does not matter. Its pieces as input of
//! websockets are tested in Python (`tests/core/test_slice.py`).

use proptest::prelude::*;
use voltgate_core::slice::{Piece, Slicer};

const LIMIT: u32 = 300;
/// Bytes of the longest header.
const HEAD: usize = 14;

/// One item of the output; adjacent raw bytes are merged.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Out {
    Text(Vec<u8>),
    Raw(Vec<u8>),
}

fn feed(slicer: &mut Slicer, data: &[u8], out: &mut Vec<Out>) {
    let mut sink = |piece: Piece<'_>| match (piece, out.last_mut()) {
        (Piece::Text(text), _) => {
            let mut plain = vec![0; text.len()];
            text.unmask(&mut plain);
            out.push(Out::Text(plain));
        }
        (Piece::Raw(raw), Some(Out::Raw(before))) => before.extend(raw),
        (Piece::Raw(raw), _) => out.push(Out::Raw(raw.to_vec())),
    };
    let mut next = slicer.feed(data, &mut sink);
    while next.is_some() {
        next = slicer.feed(&[], &mut sink);
    }
}

fn frame(first: u8, key: [u8; 4], payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    if let Ok(short @ 0..=125) = u8::try_from(payload.len()) {
        frame.push(0x80 + short);
    } else {
        frame.push(0x80 + 126);
        frame.extend(u16::try_from(payload.len()).unwrap().to_be_bytes());
    }
    frame.extend(key);
    frame.extend(payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key));
    frame
}

/// Frames of every kind, and sometimes bytes that are not a frame.
fn stream() -> impl Strategy<Value = Vec<u8>> {
    let first = prop_oneof![
        6 => Just(0x81),
        2 => prop::sample::select(vec![0x01, 0x02, 0x00, 0x80, 0x82]),
        2 => prop::sample::select(vec![0x89, 0x8A, 0xC1, 0xA1]),
        1 => any::<u8>(),
    ];
    let payload = prop_oneof![
        4 => prop::collection::vec(any::<u8>(), 0..40),
        1 => prop::collection::vec(any::<u8>(), 120..130),
        1 => prop::collection::vec(any::<u8>(), 290..303),
    ];
    let whole =
        (first, any::<[u8; 4]>(), payload).prop_map(|(first, key, payload)| frame(first, key, &payload));
    let piece = prop_oneof![9 => whole, 1 => prop::collection::vec(any::<u8>(), 0..12)];
    prop::collection::vec(piece, 0..8).prop_map(|frames| frames.concat())
}

proptest! {
    #[test]
    fn cutting_changes_nothing(stream in stream(), sizes in prop::collection::vec(1..60_usize, 1..12)) {
        let (mut whole, mut wanted) = (Slicer::new(LIMIT), Vec::new());
        feed(&mut whole, &stream, &mut wanted);
        let (mut slicer, mut out, mut rest) = (Slicer::new(LIMIT), Vec::new(), stream.as_slice());
        for size in sizes.iter().cycle() {
            let (now, later) = rest.split_at((*size).min(rest.len()));
            feed(&mut slicer, now, &mut out);
            prop_assert!(slicer.unfinished() < LIMIT as usize + HEAD);
            rest = later;
            if rest.is_empty() {
                break;
            }
        }
        prop_assert_eq!(out, wanted);
        prop_assert_eq!(slicer.unfinished(), whole.unfinished());
    }

    #[test]
    fn a_text_is_what_was_masked(key in any::<[u8; 4]>(), text in prop::collection::vec(any::<u8>(), 0..300)) {
        let (mut slicer, mut out) = (Slicer::new(LIMIT), Vec::new());
        feed(&mut slicer, &frame(0x81, key, &text), &mut out);
        prop_assert_eq!(out, [Out::Text(text)]);
    }
}

#[test]
fn one_piece_at_a_time_and_the_rest_is_held_as_it_came() {
    let ping = frame(0x89, [0; 4], b"");
    let mut slicer = Slicer::new(LIMIT);
    slicer.hold(&ping.repeat(1_000));
    slicer.hold(&ping[..2]);
    let mut left = 6 * 1_000 + 2;
    while let Some(size) = slicer.feed(&[], |piece| match piece {
        Piece::Raw(raw) => raw.len(),
        Piece::Text(_) => 0,
    }) {
        assert_eq!(size, 6);
        left -= size;
        assert!((left..=2 * left).contains(&slicer.unfinished()), "what is handed on is given back");
    }
    assert_eq!((left, slicer.unfinished()), (2, 2));
}
