"""Refused frames are stored, then answered (docs/contract.md 2.2, 3.2)."""

from typing import Any

import pytest

from voltgate.gateway.reasons import Reason
from world import METER, World


@pytest.mark.parametrize(
    ("version", "raw", "answer"),
    [
        ("v16", b'[2,"1","Nonsense",{}]', [4, "1", "NotImplemented"]),
        ("v16", b'[2,"1","Reset",{"type":"Soft"}]', [4, "1", "NotSupported"]),
        ("v16", b'[2,"1","StatusNotification",{}]', [4, "1", "OccurenceConstraintViolation"]),
        ("v201", b'[2,"1","Heartbeat",{"x":1}]', [4, "1", "FormatViolation"]),
        ("v16", b'[2,"1","Heartbeat",{}', [4, "1", "FormationViolation"]),
        ("v16", b"pong", None),
        ("v201", b"pong", [4, "-1", "RpcFrameworkError"]),
        ("v21", b"", [4, "-1", "RpcFrameworkError"]),
        ("v16", b'[9,"1"]', None),
        ("v201", b'[9,"1"]', [4, "1", "MessageTypeNotSupported"]),
        ("v21", b'[9,"1"]', None),
        ("v16", b'[6,"1","NotifyPeriodicEventStream",{}]', None),
        ("v21", b'[6,"1","NotifyPeriodicEventStream",{}]', None),
        ("v21", b'[3,"unknown",{}]', None),
        ("v21", b'[4,"unknown","GenericError","",{}]', None),
        ("v21", b'[5,"1","GenericError","",{}]', None),
    ],
)
def test_what_is_refused_is_stored_and_then_answered_where_the_version_answers(
    version: str, raw: bytes, answer: list[Any] | None
) -> None:
    world = World(version, validation="strict")
    world.raw(raw)
    stored = world.bus.published + world.bus.live
    assert [message.subject for message in stored] == [f"ocpp.reject.{version}.CP=201"]
    assert stored[0].data == raw
    assert [sent[:3] for sent in world.answers()] == ([answer] if answer else [])
    world.send("after", "Heartbeat", {})
    assert world.answers()[0][1] == "after"


def test_frames_whose_id_cannot_be_read_are_not_the_same_call() -> None:
    """Each is stored and answered, also while the one before it is being stored."""
    world = World("v201")
    world.bus.hold_acks = True
    for raw in (b"[2]", b"[2]", b'[2,3,"Heartbeat",{}]'):
        world.raw(raw)
    world.bus.hold_acks = False
    world.bus.acknowledge()
    world.bus.settle()
    assert [sent[:3] for sent in world.answers()] == [[4, "-1", "RpcFrameworkError"]] * 3
    assert [message.data for message in world.bus.published] == [b"[2]", b"[2]", b'[2,3,"Heartbeat",{}]']


def test_above_rejects_per_minute_frames_are_answered_and_counted_but_not_stored() -> None:
    world = World(limits={"rejects_per_minute": 3})
    for n in range(5):
        world.send(str(n), "Nonsense", {})
    assert len(world.answers()) == 5
    assert len(world.bus.published) == 3
    assert world.counted("voltgate_rejects_unstored_total", version="v16") == 2
    world.pass_time(61)
    world.send("later", "Nonsense", {})
    assert len(world.bus.published) == 4


def test_what_closes_the_socket_is_stored_with_its_reason_and_never_answered() -> None:
    world = World(limits={"rejects_per_minute": 2})
    raw = b'[2,"1","StopTransaction",{"transactionId":7,'
    for _ in range(3):
        world.session.broken(world.context.codec.decode(raw), 636_181, "too_big: message too big")
    reject, _ = world.bus.live
    assert (reject.subject, reject.data) == ("ocpp.reject.v16.CP=201", raw)
    assert reject.headers["ocpp-message-id"] == "1"
    assert reject.headers["ocpp-reject-bytes"] == "636181"
    assert reject.headers["ocpp-error-code"] == "GenericError"
    assert reject.headers["ocpp-error-reason"].strip() == "too_big: message too big"
    assert world.answers() == []
    assert world.counted("voltgate_rejects_unstored_total", version="v16") == 1


@pytest.mark.parametrize("version", ["v16", "v201"])
def test_text_that_is_not_utf_8_is_stored_before_the_socket_closes(version: str) -> None:
    world = World(version)
    raw = '[2,"1","Authorize",{"idTag":"ö"}]'.encode("latin-1")
    world.raw(raw)
    (reject,) = world.bus.live
    assert (reject.subject, reject.data) == (f"ocpp.reject.{version}.CP=201", raw)
    assert reject.headers["ocpp-error-reason"].strip() == "not_utf8: invalid UTF-8"
    assert "ocpp-reject-bytes" not in reject.headers
    assert world.closed is Reason.NOT_UTF8


def test_a_refused_transaction_message_is_stored_whole_and_always() -> None:
    world = World(limits={"rejects_per_minute": 0}, policy={"v16": {"MeterValues": {"validation": "strict"}}})
    payload = METER | {"x": "y" * 9000}
    world.send("1", "MeterValues", payload)
    world.send("2", "Nonsense", {"x": "y" * 9000})
    (reject,) = world.bus.published
    assert len(reject.data) > 9000
    assert "ocpp-reject-bytes" not in reject.headers
