//! Publish commands: their exact bytes, and properties of any of them.

use proptest::prelude::*;
use voltgate_core::cloudevents::Stamp;
use voltgate_core::hpub::{Command, TEXT_LIMIT};
use voltgate_core::key::{Message, Origin, key};
use voltgate_core::publish::{Answer, Class, Publisher, Question, Refusal, Tags};
use voltgate_core::token::header_value;
use voltgate_core::version::Version;

const TIME_MS: i64 = 1_767_225_599_042;
const START: &[u8] = br#"{"connectorId":1,"idTag":"A","meterStart":0,"timestamp":"2025-12-31T23:59:58Z"}"#;

fn start() -> Message<'static> {
    Message::new("StartTransaction", "m 1", START)
}

fn publisher() -> Publisher {
    Publisher::new(Version::V16, "CP 1", "s1", "ocpp", "ocpprpc")
}

fn stamp(count: u64) -> Stamp<'static> {
    Stamp { count, time_ms: TIME_MS, reply: "_INBOX.a.7", traceparent: "" }
}

/// The key of a fact, and its `Nats-Msg-Id`.
fn fact(
    publisher: &Publisher,
    out: &mut Command,
    class: Class,
    message: &Message,
    stamp: &Stamp,
    tags: Tags,
) -> (String, Option<String>) {
    let mut key = Vec::new();
    let id = publisher.fact(out, class, message, stamp, tags, &mut key);
    (String::from_utf8(key).unwrap(), id.map(|id| String::from_utf8(id.to_vec()).unwrap()))
}

/// A command's subject, reply, header lines and payload, with both sizes checked.
fn parsed(command: &[u8]) -> (Vec<String>, Vec<String>, Vec<u8>) {
    let line = command.windows(2).position(|pair| pair == b"\r\n").unwrap();
    let control: Vec<String> =
        std::str::from_utf8(&command[..line]).unwrap().split(' ').map(str::to_owned).collect();
    assert_eq!(control[0], "HPUB");
    let [.., headers, total] = control.as_slice() else { panic!("a control line has sizes") };
    let (headers, total): (usize, usize) = (headers.parse().unwrap(), total.parse().unwrap());
    let body = &command[line + 2..];
    assert_eq!(body.len(), total + 2);
    assert!(body.ends_with(b"\r\n"));
    let block = std::str::from_utf8(&body[..headers]).unwrap();
    assert!(block.is_ascii() && block.starts_with("NATS/1.0\r\n") && block.ends_with("\r\n\r\n"));
    let lines = block.trim_end().split("\r\n").skip(1).map(str::to_owned).collect();
    (control[1..control.len() - 2].to_vec(), lines, body[headers..total].to_vec())
}

#[test]
fn a_fact_of_class_tx_has_every_header_in_order_and_its_id() {
    let mut command = Command::default();
    let (key, id) = fact(&publisher(), &mut command, Class::Tx, &start(), &stamp(1), Tags::default());
    let (subject, headers, payload) = parsed(command.as_bytes());
    assert_eq!(subject, ["ocpp.tx.v16.StartTransaction.CP=201", "_INBOX.a.7"]);
    assert_eq!(id.as_deref(), Some("16132f452f36badd3e24f81f28bd81ba"));
    assert_eq!(key, "CP=201/StartTransaction/a5c49b2d779eab666c1e88bfb07bdfbd");
    assert_eq!(
        headers,
        [
            "ce-specversion: 1.0",
            "ce-id: s1/1",
            "ce-source: /chargers/CP=201",
            "ce-type: ocpp.v16.StartTransaction",
            "ce-subject: CP%201",
            "ce-time: 2025-12-31T23:59:59.042Z",
            "ce-datacontenttype: application/json",
            "ocpp-message-id: m 1",
            "ocpp-session: s1",
            &format!("ocpp-key: {key}"),
            "Nats-Msg-Id: 16132f452f36badd3e24f81f28bd81ba",
        ]
    );
    assert_eq!(payload, START);
}

#[test]
fn only_class_tx_has_an_id_and_only_a_violation_its_header() {
    let mut command = Command::default();
    for (class, violation, last) in [
        (Class::Event, "", "ocpp-key: "),
        (Class::Live, "", "ocpp-key: "),
        (Class::Event, "TypeConstraintViolation /a b", "ocpp-violation: TypeConstraintViolation /a b"),
    ] {
        let (_, id) =
            fact(&publisher(), &mut command, class, &start(), &stamp(1), Tags { violation, redacted: None });
        assert_eq!(id, None);
        let (subject, headers, _) = parsed(command.as_bytes());
        assert!(subject[0].starts_with(&format!("ocpp.{}.v16.", class.name())));
        assert!(headers.last().unwrap().starts_with(last), "{headers:?}");
    }
}

#[test]
fn a_question_has_a_deadline_and_no_id() {
    let mut command = Command::default();
    let message = start();
    let question =
        Question { message: &message, key: "CP=201/k", deadline_ms: TIME_MS + 20_000, violation: "" };
    publisher().question(&mut command, &question, &stamp(2));
    let (subject, headers, _) = parsed(command.as_bytes());
    assert_eq!(subject[0], "ocpprpc.ask.v16.StartTransaction.CP=201");
    assert_eq!(headers[1], "ce-id: s1/2");
    assert_eq!(headers[9..], ["ocpp-key: CP=201/k", "ocpp-deadline: 2026-01-01T00:00:19.042Z"]);
}

#[test]
fn a_response_has_the_key_of_its_request_and_an_id_unless_it_is_an_error() {
    let mut command = Command::default();
    for (class, error_code, last) in [
        (Class::Tx, "", vec!["ocpp-answered-by: backend", "Nats-Msg-Id: 0a/response"]),
        (Class::Tx, "InternalError", vec!["ocpp-answered-by: backend", "ocpp-error-code: InternalError"]),
        (Class::Event, "", vec!["ocpp-answered-by: backend"]),
    ] {
        let answer = Answer {
            action: "StartTransaction",
            id: "m 1",
            key: "CP=201/k",
            nats_id: "0a",
            payload: b"{}",
            by: "backend",
            error_code,
            reply_violation: "",
        };
        publisher().response(&mut command, class, &answer, &stamp(3));
        let (subject, headers, payload) = parsed(command.as_bytes());
        assert_eq!(subject[0], format!("ocpp.{}.v16.StartTransactionResponse.CP=201", class.name()));
        assert_eq!(headers[3], "ce-type: ocpp.v16.StartTransactionResponse");
        assert_eq!(headers[9], "ocpp-key: CP=201/k");
        assert_eq!(headers[10..], last);
        assert_eq!(payload, b"{}");
    }
}

#[test]
fn a_reject_is_raw_bytes_cut_at_the_limit() {
    let mut command = Command::default();
    let raw = b"[2,\xFF\xFE\r\n";
    for (id, limit, kept, bytes) in
        [(None, 0, 7, None), (Some("i"), 7, 7, None), (Some("i"), 4, 4, Some("ocpp-reject-bytes: 7"))]
    {
        let refusal = Refusal {
            id,
            raw,
            code: "FormationViolation",
            pointer: "",
            reason: "Not JSON.",
            limit,
            size: 0,
            latin1: false,
            redacted: false,
        };
        publisher().reject(&mut command, &refusal, &stamp(4));
        let (subject, headers, payload) = parsed(command.as_bytes());
        assert_eq!(subject[0], "ocpp.reject.v16.CP=201");
        assert_eq!(headers[3], "ce-type: ocpp.v16.reject");
        assert_eq!(headers[6], "ce-datacontenttype: application/octet-stream");
        assert_eq!(headers.iter().any(|line| line == "ocpp-message-id: i"), id.is_some());
        assert!(headers.iter().any(|line| line.trim_end() == "ocpp-error-pointer:"));
        assert_eq!(
            headers.iter().find(|line| line.starts_with("ocpp-reject-bytes")).map(String::as_str),
            bytes
        );
        assert_eq!(payload, &raw[..kept]);
    }
}

#[test]
fn free_text_never_outgrows_a_header() {
    let mut command = Command::default();
    let long = "é".repeat(TEXT_LIMIT);
    fact(
        &publisher(),
        &mut command,
        Class::Event,
        &start(),
        &stamp(1),
        Tags { violation: &long, redacted: None },
    );
    let (_, headers, _) = parsed(command.as_bytes());
    assert_eq!(headers[10], format!("ocpp-violation: {}", "%C3%A9".repeat(TEXT_LIMIT / 2)));
}

#[test]
fn a_time_is_rfc_3339_in_utc() {
    let mut command = Command::default();
    for (time_ms, text) in [
        (0, "1970-01-01T00:00:00.000Z"),
        (-1, "1969-12-31T23:59:59.999Z"),
        (951_782_400_000, "2000-02-29T00:00:00.000Z"),
        (1_709_164_800_007, "2024-02-29T00:00:00.007Z"),
        (4_107_542_399_999, "2100-02-28T23:59:59.999Z"),
        (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
        (253_402_300_799_999, "9999-12-31T23:59:59.999Z"),
        (i64::MAX, "9999-12-31T23:59:59.999Z"),
        (i64::MIN, "0000-01-01T00:00:00.000Z"),
    ] {
        let stamp = Stamp { count: u64::MAX, time_ms, reply: "", traceparent: "" };
        fact(&publisher(), &mut command, Class::Live, &start(), &stamp, Tags::default());
        let (subject, headers, _) = parsed(command.as_bytes());
        assert_eq!(subject.len(), 1, "no reply subject if no reply is expected");
        assert_eq!(headers[1], "ce-id: s1/18446744073709551615");
        assert_eq!(headers[5], format!("ce-time: {text}"));
    }
}

#[test]
fn what_would_change_the_protocol_s_own_lines_is_not_written() {
    let mut command = Command::default();
    for (subject, reply, name) in [
        ("", "", "a"),
        ("a b", "", "a"),
        ("a\r\nb", "", "a"),
        ("a", "b c", "a"),
        ("a", "", ""),
        ("a", "", "a:b"),
        ("a", "", "a\r"),
    ] {
        assert!(
            command.write(subject, reply, &[(name, "v")], b"").is_err(),
            "{subject:?} {reply:?} {name:?}"
        );
    }
    command.write("a.b", "", &[], b"").unwrap();
    assert_eq!(command.as_bytes(), b"HPUB a.b 12 12\r\nNATS/1.0\r\n\r\n\r\n");
}

proptest! {
    #[test]
    fn any_fact_is_one_well_formed_command(
        identity in "\\PC{1,48}", session in "\\PC{1,40}", id in any::<String>(), violation in any::<String>(),
        payload in prop::collection::vec(any::<u8>(), 0..2000), count in any::<u64>(), time_ms in any::<i64>(),
    ) {
        let publisher = Publisher::new(Version::V21, &identity, &session, "p", "r");
        let message = Message::new("MeterValues", &id, &payload);
        let mut command = Command::default();
        let stamp = Stamp { count, time_ms, reply: "", traceparent: "" };
        let (made, nats_id) = fact(&publisher, &mut command, Class::Tx, &message, &stamp, Tags { violation: &violation, redacted: None });
        let (subject, headers, body) = parsed(command.as_bytes());
        prop_assert_eq!(subject[0].split('.').count(), 5);
        prop_assert_eq!(body, payload.clone());
        let id_line = format!("ocpp-message-id: {}", header_value(&id));
        let key_line = format!("ocpp-key: {made}");
        let dedup_line = format!("Nats-Msg-Id: {}", nats_id.unwrap());
        prop_assert_eq!(&headers[7], &id_line);
        prop_assert_eq!(&headers[9], &key_line);
        prop_assert_eq!(headers.last().unwrap(), &dedup_line);
        let session = voltgate_core::token::token(&session);
        let origin = Origin { version: Version::V21, token: publisher.token(), session: &session };
        prop_assert_eq!(made, key(&origin, &message));
    }
}
