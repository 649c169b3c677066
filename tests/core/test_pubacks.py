"""PubAcks out of the bytes of NATS: any stream, cut anywhere, against nats-py's own parser alone.

nats-py's ``Parser`` reads a stream; the subject, ``PubAcks`` before another one, reads the same chunks. Both
must see the same messages, lines and errors in the same order.
"""

import os
from collections.abc import Coroutine
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nats.errors import ProtocolError
from nats.protocol.parser import Parser

from voltgate._core import Inbox, PubAcks
from voltgate.config import Nats
from voltgate.gateway.bus.acks import Acks
from voltgate.gateway.interfaces import Ack

CASES = 100_000 if os.environ.get("TEST_FULL") == "1" else 300
ID = 1
INBOX = Inbox("_VOLTGATE.a", bytes(16))
HPUB = b"HPUB ocpp.tx.v16.X.CP _VOLTGATE.a.1.b 12 12\r\n"
BODY = b'{"stream":"OCPP_TX", "seq":7}'


def message(
    body: bytes, subject: str = "", reply: str = "", headers: bytes | None = None, of: int = ID
) -> bytes:
    """A message as nats-server writes it."""
    size = f"{len(headers)} " if headers is not None else ""
    words = f"{'H' * bool(size)}MSG {subject or INBOX.subject(7)} {of} {reply}{' ' * bool(reply)}"
    return f"{words}{size}{len(body) + len(headers or b'')}\r\n".encode() + (headers or b"") + body + b"\r\n"


ACK = message(BODY)


class Seen(list[tuple[Any, ...]]):
    """What nats-py's client is given by its parser."""

    async def _process_msg(self, *told: Any) -> None:
        self.append(("MSG", *told))

    async def _process_err(self, error: str) -> None:
        self.append(("-ERR", error))

    async def _process_ping(self) -> None:
        self.append(("PING",))

    async def _process_pong(self) -> None:
        self.append(("PONG",))

    async def _process_info(self, info: Any) -> None:
        self.append(("INFO", info))


def finish(parsing: Coroutine[Any, Any, None]) -> None:
    """The parser suspends only where its client does."""
    with pytest.raises(StopIteration):
        parsing.send(None)


def alone(chunks: list[bytes]) -> Seen:
    """What nats-py sees."""
    seen = Seen()
    parser = Parser(seen)
    try:
        for chunk in chunks:
            finish(parser.parse(chunk))
    except (ProtocolError, ValueError, AttributeError) as error:
        seen.append((type(error),))
    return seen


def behind(chunks: list[bytes]) -> tuple[Seen, int]:
    """The same with what was taken before it, and how much that was."""
    seen, acks, count = Seen(), PubAcks(INBOX, ID), 0
    parser = Parser(seen)
    try:
        for chunk in chunks:
            data, more = chunk, True
            while more:
                taken, rest = acks.feed(data)
                for counter, stream, domain, seq, duplicate, body in taken:
                    seen.append(("MSG", ID, INBOX.subject(counter).encode(), b"", body, None))
                    told = orjson.loads(body)
                    assert (stream, seq, duplicate) == (
                        told["stream"], told["seq"], told.get("duplicate", False),
                    )  # fmt: skip
                    assert type(told["seq"]) is int
                    assert domain == told.get("domain", "")
                    if stream == "OCPP_TX":
                        assert Acks(Nats()).judge(HPUB, b"", body) == Ack(stream, seq, duplicate)
                count += len(taken)
                finish(parser.parse(rest))
                data, more = b"", acks.more
    except (ProtocolError, ValueError, AttributeError) as error:
        seen.append((type(error),))
    return seen, count


def cut(stream: bytes, sizes: list[int]) -> list[bytes]:
    """The stream in chunks of these sizes, over and over."""
    chunks, at = list[bytes](), 0
    while at < len(stream):
        size = sizes[len(chunks) % len(sizes)]
        chunks.append(stream[at : at + size])
        at += size
    return chunks


COUNTERS = st.sampled_from([0, 7, 10**18, 2**64 - 1])
NUMBERS = st.sampled_from(
    ["1", "7", "0", "01", "-1", "1.0", "1e3", "9" * 18, "9" * 19, str(2**64), "true", ""]
)
SPACES = st.sampled_from(["", "", "", " ", "\n\t", "\x0b", "\x0c", "\xa0"])
VALUES = st.one_of(
    st.tuples(st.just('"seq"'), NUMBERS),
    st.tuples(
        st.sampled_from(['"stream"', '"domain"', '"x"']),
        st.sampled_from(['"OCPP_TX"', '"KV_x"', '""', '"\\u0041"', '"é"', '"\x7f"', '"\t"', "null", "7"]),
    ),
    st.tuples(st.just('"duplicate"'), st.sampled_from(["true", "false", "null", "1", "truest"])),
    st.tuples(st.just('"error"'), st.just('{"code":503}')),
)


@st.composite
def bodies(draw: st.DrawFn) -> bytes:
    """Mostly a PubAck, or something like one."""
    pairs = draw(
        st.one_of(
            st.just([('"stream"', '"OCPP_TX"'), ('"seq"', "7")]),
            st.just([('"stream"', '"OCPP_TX"'), ('"seq"', "7"), ('"duplicate"', "true")]),
            st.lists(VALUES, max_size=4),
        )
    )
    space = draw(SPACES)
    inner = f",{space}".join(f"{name}{space}:{space}{value}" for name, value in pairs)
    tail = draw(st.sampled_from(["}", "}", "}", "} ", "}}", ",}", ""]))
    return f"{space}{{{inner}{tail}".encode()


BLOCKS = st.sampled_from(
    [b"NATS/1.0 503\r\n\r\n", b"NATS/1.0\r\na: b\r\n\r\n", b"7\r\n", b"\r\n7\r\n", b"", b"7"]
)
PAYLOADS = st.one_of(
    bodies(),
    st.just(ACK),  # a message inside a message
    st.just(ACK * 40),
    st.binary(max_size=20),
)


@st.composite
def messages(draw: st.DrawFn) -> bytes:
    """Of our inbox or not, with or without headers and a reply subject; sometimes not as its line says."""
    whole = message(
        draw(PAYLOADS),
        draw(
            st.one_of(COUNTERS.map(INBOX.subject), st.sampled_from(["_VOLTGATE.a.7.0123456789abcdef", "x"]))
        ),
        draw(st.sampled_from(["", "", "", "to.me", "5"])),
        draw(st.one_of(st.none(), st.none(), BLOCKS)),
        draw(st.sampled_from([ID, ID, ID, 2, 10**19])),
    )
    old, new = draw(st.sampled_from([(b"", b"")] * 12 + [
        (b"MSG ", b"MSG  "), (b" ", b"\t"), (b"\r\n", b"\n"), (b"\r\n", b" \r\n"), (b"\r\n", b"\r\r\n"),
        (b"\r\n", b"XX"),
        (b" 1 ", b" 1_0 "), (b" 1 ", b" 01 "), (b" 1 ", b" 1\r\n"), (b"MSG", b"msg"), (b"}\r\n", b"}xy"),
    ]))  # fmt: skip
    return whole.replace(old, new, 1) if old else whole


LINES = st.sampled_from([
    b"PING\r\n", b"PONG\r\n", b"+OK\r\n", b"-ERR 'Stale Connection'\r\n", b'INFO {"server_id":"x"}\r\n',
    b'INFO {"a":"' + b"b" * 5000 + b'"}\r\n',
])  # fmt: skip
STRANGE = st.sampled_from([
    b"\r\n", b"PING \r\n", b"PING\n", b"-ERR\r\n", b"-ERR 'a' 'b'\r\n", b"-ERR ''\r\n", b"INFO  {}\r\n",
    b"INFO \r\n{}\r\n", b"INFO {\r\n", b"NONSENSE\r\n", b"NONSENSE", b"x" * 5000 + b"\r\n", b"x" * 70_000,
    b"MSG a 1 5\r\n", b"\xff\r\n",
    b"INFO {}\r\r\n", b"-ERR 'a\rb'\r\n", b"HMSG a 1 9\r\n",
])  # fmt: skip
CLEAN = COUNTERS.map(lambda counter: message(BODY, INBOX.subject(counter)))
PIECES = st.one_of(CLEAN, CLEAN, messages(), LINES)
STREAMS = st.tuples(
    st.lists(PIECES, max_size=12), st.one_of(st.just([]), st.tuples(STRANGE, PIECES, CLEAN))
).map(lambda pieces: b"".join([*pieces[0], *pieces[1]]))
SIZES = st.lists(st.one_of(st.integers(1, 90), st.just(32_768)), min_size=1, max_size=6)


@settings(max_examples=CASES)
@given(STREAMS, SIZES)
def test_nats_py_sees_the_same_in_the_same_order(stream: bytes, sizes: list[int]) -> None:
    chunks = cut(stream, sizes)
    assert behind(chunks)[0] == alone(chunks)


@settings(max_examples=CASES // 10)
@given(st.lists(CLEAN, min_size=1), SIZES)
def test_plain_pubacks_are_all_taken(stream: list[bytes], sizes: list[int]) -> None:
    seen, count = behind(cut(b"".join(stream), sizes))
    assert count == len(seen) == len(stream)


TAKEN = [
    BODY,
    b'{"stream":"OCPP_TX","seq":1}',
    b'{"stream":"OCPP_TX", "domain":"hub", "seq":1}',
    b'{"stream":"OCPP_TX","seq":1,"duplicate": true}',
    b' { "seq" : 1 , "stream" : "X" , "duplicate" : false } ',
]
NOT_TAKEN = {
    "an error": b'{"error":{"code":503},"stream":"OCPP_TX","seq":0}',
    "no sequence": b'{"stream":"OCPP_TX"}',
    "sequence 0": b'{"stream":"OCPP_TX","seq":0}',
    "a fraction": b'{"stream":"OCPP_TX","seq":1.0}',
    "twice": b'{"stream":"OCPP_TX","seq":1,"seq":2}',
    "an escape": b'{"stream":"OCPP_T\\u0058","seq":1}',
    "another member": b'{"stream":"OCPP_TX","seq":1,"batch":"x"}',
    "behind it": BODY + b"}",
    "long": BODY + b" " * 500,
    "none": b"",
}


@pytest.mark.parametrize("body", TAKEN)
def test_a_body_in_any_spelling_of_nats_server_is_taken(body: bytes) -> None:
    assert behind([message(body)])[1] == 1


@pytest.mark.parametrize("stream", [
    *(pytest.param(message(body), id=name) for name, body in NOT_TAKEN.items()),
    pytest.param(message(BODY, reply="to.me"), id="a reply subject"),
    pytest.param(message(BODY, headers=b"NATS/1.0\r\n\r\n"), id="headers"),
    pytest.param(message(BODY, of=2), id="another subscription"),
    pytest.param(message(BODY, "_VOLTGATE.a.7.0123456789abcdef"), id="a wrong tag"),
    pytest.param(ACK[:-2] + b"xy", id="no end"),
    pytest.param(message(ACK, "x"), id="inside another message"),
])  # fmt: skip
def test_everything_else_is_not(stream: bytes) -> None:
    taken, rest = PubAcks(INBOX, ID).feed(stream)
    assert (taken, rest) == ([], stream)


def test_what_is_between_them_keeps_its_place() -> None:
    acks = PubAcks(INBOX, ID)
    ack = (7, "OCPP_TX", "", 7, False, BODY)
    assert acks.feed(ACK + b"PING\r\n" + ACK + ACK + b"PONG\r\n" + ACK[:50]) == ([ack], b"PING\r\n")
    assert acks.more is True
    assert (acks.feed(b""), acks.more) == (([ack, ack], b"PONG\r\n"), False)
    assert acks.feed(ACK[50:]) == ([ack], b"")


def test_a_new_connection_begins_with_a_line() -> None:
    """Whatever the last one ended with: a part of a message, or a line that could not be read."""
    for end in (ACK[:50], message(bytes(9), "x")[:-5], b"NONSENSE\r\n", ACK + b"PING\r\n" + ACK):
        acks = PubAcks(INBOX, ID)
        acks.feed(end)
        acks.begin()
        assert not acks.more
        assert acks.feed(ACK) == ([(7, "OCPP_TX", "", 7, False, BODY)], b"")
