//! The lane alone: what it takes, what it leaves to others, and what waits for a `PubAck`. That it leaves the same
//! traces as the session is tested in Python (`tests/gateway/session/test_lane.py`).

#![allow(clippy::disallowed_methods, reason = "the core reads no files; its tests read schemas")]

mod schemas;

use std::sync::LazyLock;

use voltgate_core::budget::{Budget, Rates};
use voltgate_core::codec::Codec;
use voltgate_core::inbox::Inbox;
use voltgate_core::lane::{self, Effects, FRAMES, Lane, Other, Road, Scratch};
use voltgate_core::outgoing::{Outgoing, Streams};
use voltgate_core::plan::{Plan, Route, Stored};
use voltgate_core::publish::{Class, Publisher};
use voltgate_core::seen::TransactionKeys;
use voltgate_core::version::Version;

static CODEC: LazyLock<Codec> = LazyLock::new(|| schemas::compile(Version::V16));

const HEARTBEAT: &str = r#"[2,"1","Heartbeat",{}]"#;
const STATUS: &str =
    r#"[2,"2","StatusNotification",{"connectorId":1,"errorCode":"NoError","status":"Available"}]"#;
const METER: &str = r#"[2,"3","MeterValues",{"connectorId":1,"meterValue":[{"timestamp":"2026-01-01T00:00:00Z","sampledValue":[{"value":"1"}]}]}]"#;
const BOOT: &str = r#"[2,"4","BootNotification",{"chargePointVendor":"v","chargePointModel":"m"}]"#;

/// One charger's lane, and everything that it works with.
struct Scene {
    lane: Lane<()>,
    publisher: Publisher,
    published: u64,
    plan: Plan,
    budget: Budget,
    outgoing: Outgoing<&'static str>,
    keys: TransactionKeys,
    now: f64,
    left: Vec<String>,
}

impl Scene {
    fn new() -> Self {
        let mut plan = Plan::new(vec![Route::Session; CODEC.entries().len()], &[1.0]);
        let stored = |class, remembers| Stored { class, remembers, keyed: false, may_ask: false };
        for (action, route) in [
            ("Heartbeat", Route::Live { clock: true }),
            ("StatusNotification", Route::Stored(stored(Class::Event, true))),
            ("MeterValues", Route::Stored(stored(Class::Tx, false))),
        ] {
            plan.routes[CODEC.find(action).unwrap().0] = route;
        }
        plan.rates = Rates { calls: 1.0, calls_burst: 1e6, stored: 1.0, stored_burst: 1e9 };
        let streams = Streams { tx: "TX".into(), event: "EVENTS".into(), domain: String::new() };
        let mut outgoing = Outgoing::new(Inbox::new("in", [1, 2]), streams, vec![1.0]);
        let outbox = &mut outgoing.outbox;
        (outbox.open, outbox.max_payload, outbox.max_waiting) = (true, 1 << 20, 1 << 30);
        let mut lane = Lane::new(1 << 16);
        lane.gate(false);
        Self {
            lane,
            publisher: Publisher::new(Version::V16, "CP", "s", "ocpp", "ocpprpc"),
            published: 1,
            plan,
            budget: Budget::default(),
            outgoing,
            keys: TransactionKeys::default(),
            now: 10.0,
            left: Vec::new(),
        }
    }

    /// One turn: the answers; what is not taken is in `left`.
    fn feed(&mut self, data: &[u8]) -> Effects {
        let (mut scratch, mut effects, mut data) = (Scratch::default(), Effects::default(), data);
        self.lane.turn();
        loop {
            let road = Road {
                publisher: &self.publisher,
                published: &mut self.published,
                plan: &mut self.plan,
                budget: &mut self.budget,
                outgoing: &mut self.outgoing,
                keys: &mut self.keys,
                now: self.now,
                time_ms: 0,
            };
            let own = || "lane";
            let sink = |other: Other<'_>| match other {
                Other::Message(plain, _) => String::from_utf8(plain.to_vec()).unwrap(),
                Other::Text(text) => format!("{} bytes", text.len()),
                Other::Raw(raw) => format!("raw {raw:?}"),
            };
            let road = Some((road, &own as &dyn Fn() -> &'static str));
            let Some(other) = self.lane.next(data, &CODEC, &mut scratch, road, &mut effects, sink) else {
                return effects;
            };
            self.left.push(other);
            data = &[];
        }
    }

    fn send(&mut self, texts: &[&str]) -> String {
        let bytes: Vec<u8> = texts.iter().flat_map(|text| frame(text)).collect();
        String::from_utf8_lossy(&self.feed(&bytes).answers).into_owned()
    }

    /// The `PubAck` of `counter`.
    fn acked(&mut self, counter: u64) -> Option<String> {
        assert_eq!(self.outgoing.settle(counter, self.now)?.owner, "lane");
        let mut room = lane::NO_ANSWER;
        let answer = self.lane.stored(&mut self.plan, counter, false, self.now, || (), &mut room)?;
        Some(String::from_utf8_lossy(answer).into_owned())
    }

    fn written(&mut self) -> String {
        self.outgoing.outbox.take(|bytes| String::from_utf8(bytes.to_vec()).unwrap())
    }
}

/// A text message, masked with zeros.
fn frame(text: &str) -> Vec<u8> {
    let mut frame = vec![0x81];
    if let Ok(short @ 0..=125) = u8::try_from(text.len()) {
        frame.push(0x80 + short);
    } else {
        frame.push(0x80 + 126);
        frame.extend(u16::try_from(text.len()).unwrap().to_be_bytes());
    }
    frame.extend([0; 4]);
    frame.extend(text.as_bytes());
    frame
}

#[test]
fn a_live_call_is_answered_at_once_and_its_fact_leaves() {
    let mut scene = Scene::new();
    let answer = r#"[3,"1",{"currentTime":"1970-01-01T00:00:00.000Z"}]"#;
    assert_eq!(
        scene.send(&[HEARTBEAT]),
        format!("\u{fffd}{}{answer}", char::from(u8::try_from(answer.len()).unwrap()))
    );
    assert!(scene.written().starts_with("HPUB ocpp.live.v16.Heartbeat.CP "));
    assert!(scene.outgoing.stores.is_empty() && scene.left.is_empty());
}

#[test]
fn a_stored_call_is_answered_after_its_puback_and_what_comes_behind_it_is_left() {
    let mut scene = Scene::new();
    assert_eq!(scene.send(&[METER, STATUS, HEARTBEAT]), "");
    assert_eq!(scene.left, [STATUS.len(), HEARTBEAT.len()].map(|size| format!("{size} bytes")));
    assert!(scene.written().starts_with("HPUB ocpp.tx.v16.MeterValues.CP in.1."));
    assert!(scene.lane.is_open() && scene.acked(2).is_none());
    assert_eq!(scene.acked(1).as_deref(), Some("\u{fffd}\u{a}[3,\"3\",{}]"));
    assert!(!scene.lane.is_open() && scene.acked(1).is_none());
}

#[test]
fn what_is_not_plain_is_left_as_it_came() {
    let mut scene = Scene::new();
    let escaped = HEARTBEAT.replace('1', "\\u0031");
    let wrong = STATUS.replace("NoError", "None");
    let texts = [BOOT, &escaped, &wrong, r#"[3,"9",{}]"#, "nonsense"];
    assert_eq!(scene.send(&texts), "");
    assert_eq!(scene.left, texts);
    assert_eq!((scene.written().as_str(), scene.published), ("", 1));
    scene.lane.gate(true);
    scene.send(&[HEARTBEAT]);
    assert_eq!(scene.left.last().unwrap(), "22 bytes", "a closed gate leaves everything");
}

#[test]
fn a_repeat_is_left_to_the_session_once_it_was_answered() {
    let mut scene = Scene::new();
    for (sent, left) in [(STATUS, 0), (STATUS, 1), (&STATUS.replace("\"2\"", "\"5\""), 1)] {
        scene.send(&[sent]);
        scene.acked(scene.outgoing.counter);
        assert_eq!(scene.left.len(), left, "{sent}");
    }
}

#[test]
fn nothing_has_changed_where_nats_cannot_take_a_fact() {
    let mut scene = Scene::new();
    scene.outgoing.outbox.open = false;
    assert_eq!(scene.send(&[HEARTBEAT]), "");
    scene.send(&[METER]);
    assert_eq!(scene.left, [HEARTBEAT, METER]);
    assert_eq!((scene.published, scene.outgoing.counter, scene.lane.is_open()), (1, 0, false));
    assert_eq!(scene.budget, Budget::default());
    assert_eq!(scene.plan.counts.received.iter().sum::<u64>(), 0);
}

#[test]
fn a_turn_is_bounded_and_so_is_a_budget() {
    let mut scene = Scene::new();
    let many = frame(HEARTBEAT).repeat(FRAMES + 1);
    assert_eq!(scene.feed(&many).live as usize, FRAMES);
    assert!(scene.lane.spent());
    assert_eq!(scene.lane.slicer().unfinished(), frame(HEARTBEAT).len());
    assert_eq!(scene.feed(&[]).live, 1, "the next turn");
    scene.plan.rates.calls_burst = 70.0;
    let effects = scene.feed(&many);
    assert!((effects.overdrawn, effects.live as usize) == (true, 71 - FRAMES - 1));
    scene.plan.rates.calls_burst = 1e6;
    assert!(!scene.feed(&[]).overdrawn);
}

#[test]
fn after_the_end_nothing_is_answered() {
    let mut scene = Scene::new();
    scene.send(&[METER]);
    scene.lane.end();
    assert_eq!(scene.acked(1), None);
    assert_eq!((scene.send(&[HEARTBEAT]).as_str(), scene.left.len()), ("", 0));
}
