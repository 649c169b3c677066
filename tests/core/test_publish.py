"""Publish commands: their exact bytes, as nats-py's own parser reads them, and through a real nats-server."""

import asyncio
import hashlib
from typing import NamedTuple

import nats
import pytest
from nats.aio.client import Client

from jetstream import NatsServer
from voltgate import Codec, Frame, _core
from voltgate.gateway.session.call import Answer, GatewayViolation

TIME_MS = 1_772_359_200_042
START = b'{"connectorId":1,"idTag":"A1","meterStart":0,"timestamp":"2026-03-01T10:00:00Z"}'
START_KEY = f"RDAM=201/StartTransaction/{hashlib.sha256(START).hexdigest()[:32]}"
START_ID = hashlib.sha256(START_KEY.encode() + b"\n" + START).hexdigest()[:32]


class Read(NamedTuple):
    """A command as its receiver sees it."""

    subject: str
    reply: str
    headers: dict[str, str]
    payload: bytes


def read(command: bytes) -> Read:
    """Takes a command apart by its own sizes; nats-py's parser reads the headers."""
    control, _, rest = command.partition(b"\r\n")
    verb, subject, *reply, header_size, total_size = control.decode("ascii").split(" ")
    assert verb == "HPUB"
    assert rest[int(total_size) :] == b"\r\n"
    block = rest[: int(header_size)]
    assert block.startswith(b"NATS/1.0\r\n")
    assert block.endswith(b"\r\n\r\n")
    headers = Client._parse_header_lines(block.removeprefix(b"NATS/1.0\r\n"))
    assert len(headers) == block.count(b"\r\n") - 2
    return Read(subject, "".join(reply), headers, rest[int(header_size) : int(total_size)])


def frame(payload: bytes = START, action: str = "StartTransaction", version: str = "ocpp1.6") -> Frame:
    """A CALL with a message id that would be a header of its own."""
    return Codec(version).decode(b'[2,"m\\r\\nx: 1","%b",%b]' % (action.encode(), payload))


def publisher(version: str = "v16") -> _core.Publisher:
    return _core.Publisher(version, "RDAM 1", "s-1")


COMMON = {
    "ce-specversion": "1.0",
    "ce-id": "s-1/1",
    "ce-source": "/chargers/RDAM=201",
    "ce-type": "ocpp.v16.StartTransaction",
    "ce-subject": "RDAM%201",
    "ce-time": "2026-03-01T10:00:00.042Z",
    "ce-datacontenttype": "application/json",
    "ocpp-message-id": "m%0D%0Ax: 1",
    "ocpp-session": "s-1",
    "ocpp-key": START_KEY,
}


def exact(subject: str, reply: str, headers: dict[str, str], payload: bytes) -> bytes:
    """The bytes a command must have: this and nothing else goes to the server."""
    block = "NATS/1.0\r\n" + "".join(f"{name}: {value}\r\n" for name, value in headers.items()) + "\r\n"
    target = f"{subject} {reply}" if reply else subject
    control = f"HPUB {target} {len(block)} {len(block) + len(payload)}\r\n"
    return (control + block).encode("ascii") + payload + b"\r\n"


def test_a_fact_is_exactly_these_bytes() -> None:
    fact = publisher().fact("tx", frame(), TIME_MS, "_INBOX.a.7")
    headers = COMMON | {"Nats-Msg-Id": START_ID}
    assert fact.hpub == exact("ocpp.tx.v16.StartTransaction.RDAM=201", "_INBOX.a.7", headers, START)
    assert read(fact.hpub).headers == headers
    assert (fact.key, fact.nats_id) == (START_KEY, START_ID)


@pytest.mark.parametrize("class_", ["event", "live"])
def test_a_fact_of_another_class_has_no_id_of_its_own_but_knows_it(class_: str) -> None:
    fact = publisher().fact(class_, frame(), TIME_MS, "")
    assert fact.hpub == exact(f"ocpp.{class_}.v16.StartTransaction.RDAM=201", "", COMMON, START)
    assert fact.nats_id == START_ID


def test_a_question_is_exactly_these_bytes() -> None:
    own = publisher()
    fact = own.fact("tx", frame(), TIME_MS, "", "Code /a b")
    command = own.question(fact, TIME_MS, TIME_MS + 20_000, "_INBOX.a.8")
    headers = COMMON | {"ce-id": "s-1/2", "ocpp-violation": "Code /a b"}
    headers |= {"ocpp-deadline": "2026-03-01T10:00:20.042Z"}
    assert command == exact("ocpprpc.ask.v16.StartTransaction.RDAM=201", "_INBOX.a.8", headers, START)
    assert read(command).headers == headers


@pytest.mark.parametrize(
    ("class_", "error_code", "last"),
    [
        ("tx", "", {"Nats-Msg-Id": START_ID + "/response"}),
        ("tx", "InternalError", {"ocpp-error-code": "InternalError"}),
        ("event", "", {}),
        ("event", "InternalError", {"ocpp-error-code": "InternalError"}),
    ],
    ids=[
        "of class tx it has the id of its request with /response behind it",
        "an error does not take the real answer's place in the window",
        "of another class it has no id",
        "nor has an error of another class",
    ],
)
def test_a_response_is_exactly_these_bytes(class_: str, error_code: str, last: dict[str, str]) -> None:
    own = publisher()
    fact = own.fact(class_, frame(), TIME_MS, "")
    command = own.response(fact, Answer("backend", b'{"transactionId":7}', error_code), TIME_MS, "r")
    headers = COMMON | {
        "ce-id": "s-1/2",
        "ce-type": "ocpp.v16.StartTransactionResponse",
        "ocpp-answered-by": "backend",
    }
    subject = f"ocpp.{class_}.v16.StartTransactionResponse.RDAM=201"
    assert command == exact(subject, "r", headers | last, b'{"transactionId":7}')


@pytest.mark.parametrize(
    ("raw", "limit", "known_id", "cut"),
    [
        (b'[2,"i","Nope",{}]', 0, "i", None),
        (b'[2,"i","Nope",{}]', 17, "i", None),
        (b'[2,"i","Nope",{}]', 5, "i", "17"),
        (b"\xff\x00\r\n", 0, None, None),
        (b"", 0, None, None),
    ],
    ids=[
        "whole where no limit is set",
        "whole where it is as long as the limit",
        "cut at the limit, with its size beside it",
        "binary bytes as they came, without an id",
        "even nothing",
    ],
)
def test_a_reject_is_exactly_these_bytes(
    raw: bytes, limit: int, known_id: str | None, cut: str | None
) -> None:
    refused = Codec("ocpp1.6").decode(raw)
    violation = refused.violation
    assert violation is not None
    command = publisher().reject(refused, raw, violation, TIME_MS, "", limit)
    headers = {name: value for name, value in COMMON.items() if name.startswith("ce-")}
    headers |= {"ce-type": "ocpp.v16.reject", "ce-datacontenttype": "application/octet-stream"}
    headers |= {"ocpp-message-id": known_id} if known_id else {}
    headers |= {
        "ocpp-session": "s-1",
        "ocpp-error-code": violation.code,
        "ocpp-error-pointer": violation.pointer,
        "ocpp-error-reason": _core.header_value(violation.reason),
    }
    headers |= {"ocpp-reject-bytes": cut} if cut else {}
    assert command == exact("ocpp.reject.v16.RDAM=201", "", headers, raw[: limit or None])


def test_what_came_as_latin1_is_tagged() -> None:
    raw = '[2,"1","StatusNotification",{"info":"\u00f6"}]'.encode("latin-1")
    for latin1 in (False, True):
        frame = Codec("ocpp1.6").decode(raw if latin1 else raw.decode("latin-1").encode(), latin1=True)
        fact = publisher().fact("event", frame, TIME_MS, "")
        why = GatewayViolation("GenericError", "", "x")
        commands = [
            fact.hpub,
            publisher().question(fact, TIME_MS, TIME_MS, "r"),
            publisher().reject(frame, frame.raw, why, TIME_MS, "", 0),
        ]
        assert [b"\r\nocpp-latin1: true\r\n" in command for command in commands] == [latin1] * 3


def test_every_message_of_a_call_may_carry_a_traceparent() -> None:
    own, trace = publisher(), "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    fact = own.fact("tx", frame(), TIME_MS, "", traceparent=trace)
    why = Codec("ocpp1.6").decode(b'[2,"i","Nope",{}]').violation
    assert why is not None
    messages = (
        fact.hpub,
        own.question(fact, TIME_MS, TIME_MS, "r", traceparent=trace),
        own.response(fact, Answer("gateway", b"{}", ""), TIME_MS, "r", traceparent=trace),
        own.reject(frame(), b"{}", why, TIME_MS, "", 0, traceparent=trace),
    )
    assert [read(hpub).headers["traceparent"] for hpub in messages] == [trace] * len(messages)


def test_every_command_of_a_connection_has_its_own_ce_id() -> None:
    own, call = publisher(), frame()
    fact = own.fact("tx", call, TIME_MS, "")
    commands = [
        fact.hpub,
        own.question(fact, TIME_MS, TIME_MS, ""),
        own.response(fact, Answer("gateway"), TIME_MS, ""),
        own.fact("tx", call, TIME_MS, "").hpub,
    ]
    assert [read(command).headers["ce-id"] for command in commands] == [f"s-1/{n}" for n in (1, 2, 3, 4)]


def test_a_null_payload_travels_as_an_empty_object_and_is_hashed_as_one() -> None:
    fact = publisher().fact("live", frame(b"null", "Heartbeat"), TIME_MS, "")
    assert read(fact.hpub).payload == b"{}"
    assert fact.nats_id == hashlib.sha256(fact.key.encode() + b"\n{}").hexdigest()[:32]


def test_a_signed_message_keeps_its_suffix_and_the_prefixes_are_configurable() -> None:
    own = _core.Publisher("v201", "a.b", "s", "north", "northrpc")
    call = frame(b'{"payload":"e30","signatures":[]}', "TransactionEvent-Signed", "ocpp2.0.1")
    fact = own.fact("tx", call, TIME_MS, "")
    assert read(fact.hpub).subject == "north.tx.v201.TransactionEvent-Signed.a=2Eb"
    assert read(fact.hpub).headers["ce-type"] == "ocpp.v201.TransactionEvent-Signed"
    question = own.question(fact, TIME_MS, TIME_MS, "")
    assert read(question).subject == "northrpc.ask.v201.TransactionEvent-Signed.a=2Eb"
    response = own.response(fact, Answer("backend"), TIME_MS, "")
    assert read(response).subject == "north.tx.v201.TransactionEvent-SignedResponse.a=2Eb"


@pytest.mark.parametrize(
    "text",
    [b'[2,"i","No.such > action",{}]', b'[3,"i",{}]', b"no frame", b""],
    ids=["an unknown action", "a call result", "rubble", "nothing"],
)
def test_only_a_known_action_becomes_a_subject(text: bytes) -> None:
    with pytest.raises(ValueError, match="known action"):
        publisher().fact("event", Codec("ocpp1.6").decode(text), TIME_MS, "")


@pytest.mark.parametrize("class_", ["", "command", "TX", "tx.>"])
def test_only_a_class_becomes_a_subject(class_: str) -> None:
    with pytest.raises(ValueError, match="class"):
        publisher().fact(class_, frame(), TIME_MS, "")


@pytest.mark.parametrize(
    ("subject", "reply", "name"),
    [
        ("", "", "a"),
        ("a b", "", "a"),
        ("a\r\nPUB b", "", "a"),
        ("a", "b\tc", "a"),
        ("a", "", "a:"),
        ("a", "", ""),
    ],
)
def test_what_would_change_the_protocols_own_lines_is_refused(subject: str, reply: str, name: str) -> None:
    with pytest.raises(ValueError, match="no spaces"):
        _core.publish(subject, reply, [(name, "v")], b"")


def test_any_message_can_be_published() -> None:
    command = _core.publish("ocpp.link.a", "r", [("a", "é\r\n"), ("b", "")], b"{}")
    assert command == exact("ocpp.link.a", "r", {"a": "%C3%A9%0D%0A", "b": ""}, b"{}")


def commands() -> list[bytes]:
    own, call = publisher(), frame()
    fact = own.fact("tx", call, TIME_MS, "")
    refused = Codec("ocpp1.6").decode(b"\xff")
    assert refused.violation is not None
    return [
        fact.hpub,
        own.question(fact, TIME_MS, TIME_MS, "_INBOX.nobody"),
        own.response(fact, Answer("backend", b'{"transactionId":7}'), TIME_MS, ""),
        own.reject(
            refused, b"\xff\r\n\x00", GatewayViolation("NotImplemented", "", "unknown"), TIME_MS, "", 0
        ),
        _core.publish("ocpp.link.RDAM=201", "", [("a", "b c")], b""),
        fact.hpub,
    ]


async def test_a_real_server_takes_every_command(nats_server: NatsServer) -> None:
    """Raw bytes through a socket; what subscribers and the stream get is what was written."""
    client = await nats.connect(nats_server.url)
    jetstream = client.jetstream()
    await jetstream.add_stream(name="OCPP_TX", subjects=["ocpp.tx.>"])
    subscription = await client.subscribe(">")
    await client.flush()
    reader, writer = await asyncio.open_connection("127.0.0.1", nats_server.port)
    writer.write(b'CONNECT {"verbose":false,"headers":true,"no_responders":true}\r\n')
    writer.write(b"".join(commands()) + b"PING\r\n")
    answer = b""
    while not answer.endswith(b"PONG\r\n"):
        answer = await asyncio.wait_for(reader.readline(), 10)
        assert answer.startswith((b"INFO ", b"PONG")), answer
    for expected in map(read, commands()):
        message = await subscription.next_msg(timeout=10)
        while message.subject.startswith("$JS."):  # advisories of making the stream
            message = await subscription.next_msg(timeout=10)
        assert message.subject == expected.subject
        assert message.reply == expected.reply
        assert message.headers == expected.headers
        assert message.data == expected.payload
    stored = await jetstream.stream_info("OCPP_TX")
    # The repeat of the fact is dropped by its Nats-Msg-Id, its Response is not.
    assert stored.state.messages == 2
    writer.close()
    await writer.wait_closed()
    await client.close()
