//! Reply subjects: what was handed out is recognised, and nothing else.

use voltgate_core::hpub::{Command, SUBJECT_LIMIT};
use voltgate_core::inbox::Inbox;

#[test]
fn a_subject_gives_back_its_counter() {
    let inbox = Inbox::new("_VOLTGATE.x", [1, 2]);
    for counter in [0, 1, 9, 10, 12_345, u64::MAX] {
        let subject = inbox.subject(counter);
        assert!(subject.starts_with(&format!("_VOLTGATE.x.{counter}.")), "{subject}");
        assert_eq!(inbox.counter(subject.as_bytes()), Some(counter));
    }
}

#[test]
fn every_other_subject_is_refused() {
    let inbox = Inbox::new("_VOLTGATE.x", [1, 2]);
    let subject = inbox.subject(70);
    let tag = subject.rsplit('.').next().unwrap();
    for other in [
        String::new(),
        "_VOLTGATE.x.".into(),
        "_VOLTGATE.x.70".into(),
        format!("_VOLTGATE.x.71.{tag}"),
        format!("_VOLTGATE.x.070.{tag}"),
        format!("_VOLTGATE.x.+70.{tag}"),
        format!("_VOLTGATE.x.70{tag}"),
        format!("_VOLTGATE.x..{tag}"),
        format!("_VOLTGATE.x.{tag}"),
        format!("_VOLTGATE.y.70.{tag}"),
        format!("{subject}0"),
        subject[..subject.len() - 1].into(),
        subject.to_uppercase(),
        format!("_VOLTGATE.x.99999999999999999999999.{tag}"),
    ] {
        assert_eq!(inbox.counter(other.as_bytes()), None, "{other}");
    }
    assert_eq!(inbox.counter(b"_VOLTGATE.x.\xff\xff.\xff"), None);
    for at in subject.len() - 16..subject.len() {
        let mut forged = subject.clone().into_bytes();
        forged[at] = if forged[at] == b'0' { b'1' } else { b'0' };
        assert_eq!(inbox.counter(&forged), None, "digit {at}");
    }
    assert_eq!(Inbox::new("_VOLTGATE.x", [1, 3]).counter(subject.as_bytes()), None, "another key");
}

#[test]
fn subscriptions_are_written_by_the_same_writer() {
    let mut command = Command::default();
    command.subscribe("ocpprpc.send.*.CP", "voltgate", 7).unwrap();
    assert_eq!(command.as_bytes(), b"SUB ocpprpc.send.*.CP voltgate 7\r\n");
    command.subscribe("a.>", "", 18_446_744_073_709_551_615).unwrap();
    assert_eq!(command.as_bytes(), b"SUB a.>  18446744073709551615\r\n");
    command.unsubscribe(7);
    assert_eq!(command.as_bytes(), b"UNSUB 7\r\n");
    let long = "x".repeat(SUBJECT_LIMIT + 1);
    for bad in ["", "a b", "a\r\nPUB b 0", "a\tb", "a\0", &long] {
        assert!(command.subscribe(bad, "", 1).is_err());
        assert!(bad.is_empty() || command.subscribe("a", bad, 1).is_err());
        assert!(command.write(bad, "", &[], b"").is_err());
        assert!(bad.is_empty() || command.write("a", bad, &[], b"").is_err());
    }
}
