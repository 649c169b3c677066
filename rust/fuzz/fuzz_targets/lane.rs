//! Random bytes, chunked by the first of them, through a lane: chunking does not matter, every message has one fate,
//! at most one CALL is open, and nothing is answered that is not stored.
//!
//! Digits stand for whole frames, so that plain CALLs come up; other bytes are themselves.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use voltgate_core::budget::Budget;
use voltgate_core::codec::Codec;
use voltgate_core::inbox::Inbox;
use voltgate_core::lane::{self, Effects, Lane, Other, Road, Scratch};
use voltgate_core::outgoing::{Outgoing, Streams};
use voltgate_core::plan::{Plan, Route, Stored};
use voltgate_core::publish::{Class, Publisher};
use voltgate_core::seen::TransactionKeys;
use voltgate_core::version::Version;
use voltgate_fuzz::codec;

const LIMIT: u32 = 4096;
const TEXTS: [&str; 6] = [
    r#"[2,"1","Heartbeat",{}]"#,
    r#"[2,"2","StatusNotification",{"connectorId":1,"errorCode":"NoError","status":"Available"}]"#,
    r#"[2,"3","MeterValues",{"connectorId":1,"meterValue":[]}]"#,
    r#"[2,"4","FirmwareStatusNotification",{"status":"Idle"}]"#,
    r#"[2,"5","Authorize",{"idTag":"a"}]"#,
    r#"[3,"6",{}]"#,
];

static CODEC: LazyLock<Codec> = LazyLock::new(|| codec(Version::V16));

fn plan() -> Plan {
    let mut plan = Plan::new(vec![Route::Session; CODEC.entries().len()], &[1.0]);
    let stored = |class, remembers| Route::Stored(Stored { class, remembers, keyed: false, may_ask: false });
    for (action, route) in [
        ("Heartbeat", Route::Live { clock: true }),
        ("StatusNotification", stored(Class::Event, true)),
        ("MeterValues", stored(Class::Tx, false)),
        ("FirmwareStatusNotification", stored(Class::Event, true)),
    ] {
        plan.routes[CODEC.find(action).expect("an action").0] = route;
    }
    (plan.rates.calls_burst, plan.rates.stored_burst) = (1e9, 1e9);
    plan
}

/// Everything that came out: answers, what left for NATS, and what the lane did not take.
fn run<'a>(chunks: impl Iterator<Item = &'a [u8]>) -> (Vec<u8>, Vec<u8>, Vec<Option<u8>>) {
    let streams = Streams { tx: "T".into(), event: "E".into(), domain: String::new() };
    let mut outgoing = Outgoing::new(Inbox::new("in", [1, 2]), streams, vec![1.0]);
    let outbox = &mut outgoing.outbox;
    (outbox.open, outbox.max_payload, outbox.max_waiting) = (true, 1 << 20, 1 << 30);
    let publisher = Publisher::new(Version::V16, "CP", "s", "ocpp", "ocpprpc");
    let (mut policy, mut budget, mut keys) = (plan(), Budget::default(), TransactionKeys::default());
    let (mut lane, mut count, mut scratch) = (Lane::new(LIMIT), 1, Scratch::default());
    let (mut answers, mut left, mut live) = (Vec::new(), Vec::new(), 0);
    lane.gate(false);
    for chunk in chunks {
        let mut data = chunk;
        loop {
            let mut effects = Effects::default();
            let road = Road {
                publisher: &publisher,
                published: &mut count,
                plan: &mut policy,
                budget: &mut budget,
                outgoing: &mut outgoing,
                keys: &mut keys,
                now: 1.0,
                time_ms: 0,
            };
            let sink = |other: Other<'_>| match other {
                Other::Message(plain, _) => left.extend(plain.iter().copied().map(Some).chain([None])),
                Other::Text(text) => {
                    let mut plain = vec![0; text.len()];
                    text.unmask(&mut plain);
                    left.extend(plain.into_iter().map(Some).chain([None]));
                }
                Other::Raw(raw) => left.extend(raw.iter().copied().map(Some)),
            };
            lane.turn();
            let own = || ();
            let found =
                lane.next(data, &CODEC, &mut scratch, Some((road, &own)), &mut effects, sink).is_some();
            answers.extend_from_slice(&effects.answers);
            live += u64::from(effects.live);
            if !found && !lane.spent() {
                break;
            }
            data = &[];
        }
        assert!(lane.slicer().unfinished() < LIMIT as usize + 14);
        assert_eq!(outgoing.stores.len(), usize::from(lane.is_open()));
    }
    let taken: u64 = policy.counts.received.iter().sum();
    assert_eq!(taken, live + u64::from(lane.is_open()));
    assert_eq!(count, taken + 1);
    let mut room = lane::NO_ANSWER;
    if let Some(store) = outgoing.settle(outgoing.counter, 2.0) {
        assert!(store.command.starts_with(b"HPUB ocpp."));
        let answer = lane.stored(&mut policy, outgoing.counter, false, 2.0, || (), &mut room);
        answers.extend_from_slice(answer.expect("an answer to the open CALL"));
    }
    assert!(!lane.is_open() && outgoing.stores.is_empty());
    (answers, outgoing.outbox.take(<[u8]>::to_vec), left)
}

fuzz_target!(|bytes: &[u8]| {
    let Some((size, bytes)) = bytes.split_first() else { return };
    let mut stream = Vec::new();
    for byte in bytes {
        match TEXTS.get(usize::from(byte.wrapping_sub(b'0'))) {
            Some(text) => {
                let size = u8::try_from(text.len()).expect("a short frame");
                stream.extend([0x81, 0x80 + size, 0, 0, 0, 0]);
                stream.extend(text.bytes());
            }
            None => stream.push(*byte),
        }
    }
    let whole = run(std::iter::once(stream.as_slice()));
    assert_eq!(run(stream.chunks(usize::from(*size).max(1))), whole);
});
