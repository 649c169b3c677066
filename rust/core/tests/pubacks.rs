//! `PubAcks` alone: cutting changes nothing, and nothing is lost. Against nats-py's parser it is tested in Python
//! (`tests/core/test_pubacks.py`).

use proptest::prelude::*;
use voltgate_core::inbox::Inbox;
use voltgate_core::pubacks::PubAcks;

const ID: u64 = 1;
const BODY: &str = r#"{"stream":"OCPP_TX", "seq":7}"#;

fn inbox() -> Inbox {
    Inbox::new("_VOLTGATE.x", [1, 2])
}

/// One item of the output; adjacent raw bytes are merged.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Out {
    Ack(u64),
    Raw(Vec<u8>),
}

fn feed(acks: &mut PubAcks, data: &[u8], out: &mut Vec<Out>) {
    let mut data = Some(data);
    while let Some(chunk) = data.take() {
        let rest = acks.feed(chunk, |ack| {
            assert_eq!(
                (ack.stream, ack.seq, ack.duplicate, ack.body),
                ("OCPP_TX", 7, false, BODY.as_bytes())
            );
            out.push(Out::Ack(ack.counter));
        });
        match out.last_mut() {
            _ if rest.is_empty() => {}
            Some(Out::Raw(before)) => before.extend(rest),
            _ => out.push(Out::Raw(rest.to_vec())),
        }
        data = acks.more().then_some(&[]);
    }
}

fn ack(counter: u64) -> String {
    format!("MSG {} {ID} {}\r\n{BODY}\r\n", inbox().subject(counter), BODY.len())
}

/// Messages and lines, and sometimes bytes that are none.
fn stream() -> impl Strategy<Value = Vec<u8>> {
    let other = prop::sample::select(vec![
        "PING\r\n".to_owned(),
        "INFO {}\r\n".to_owned(),
        format!("MSG x 2 {}\r\n{}\r\n", ack(1).len(), ack(1)),
        format!("HMSG x 2 y 12 14\r\nNATS/1.0\r\n\r\n{{}}\r\n"),
        ack(2).replace("seq", "sex"),
        ack(2).replace(" 1 ", " 2 "),
    ]);
    let piece = prop_oneof![
        8 => any::<u64>().prop_map(ack).prop_map(String::into_bytes),
        4 => other.prop_map(String::into_bytes),
        1 => prop::collection::vec(any::<u8>(), 0..12),
    ];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn cutting_changes_nothing(stream in stream(), sizes in prop::collection::vec(1..120_usize, 1..12)) {
        let (mut whole, mut wanted) = (PubAcks::new(inbox(), ID), Vec::new());
        feed(&mut whole, &stream, &mut wanted);
        let (mut acks, mut out, mut rest) = (PubAcks::new(inbox(), ID), Vec::new(), stream.as_slice());
        for size in sizes.iter().cycle() {
            let (now, later) = rest.split_at((*size).min(rest.len()));
            feed(&mut acks, now, &mut out);
            rest = later;
            if rest.is_empty() {
                break;
            }
        }
        prop_assert_eq!(out, wanted);
    }

    #[test]
    fn nothing_is_lost(counters in prop::collection::vec(any::<u64>(), 1..9), between in prop::bool::ANY) {
        let line = if between { "PING\r\n" } else { "" };
        let stream: String = counters.iter().map(|counter| ack(*counter) + line).collect();
        let mut out = Vec::new();
        feed(&mut PubAcks::new(inbox(), ID), stream.as_bytes(), &mut out);
        let raw = (!line.is_empty()).then(|| Out::Raw(line.into()));
        let wanted: Vec<_> =
            counters.iter().flat_map(|counter| [Some(Out::Ack(*counter)), raw.clone()]).flatten().collect();
        prop_assert_eq!(out, wanted);
    }
}

/// Lines that never end, and sizes that are too large to be true, hold up nothing.
#[test]
fn what_is_held_is_bounded() {
    let mut acks = PubAcks::new(inbox(), ID);
    let mut out = Vec::new();
    for _ in 0..70 {
        feed(&mut acks, &[b'x'; 1024], &mut out);
    }
    assert_eq!(out, [Out::Raw(vec![b'x'; 70 * 1024])]);
    let endless = format!("MSG {} {ID} {}\r\n", inbox().subject(1), 1_u64 << 50);
    let (mut acks, mut out) = (PubAcks::new(inbox(), ID), Vec::new());
    feed(&mut acks, endless.as_bytes(), &mut out);
    assert_eq!(out, [Out::Raw(endless.into_bytes())]);
}
