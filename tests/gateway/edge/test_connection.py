"""Bytes in, messages and frames out; pauses, bounds, keepalive and the end, in virtual time."""

import random
import socket
from collections.abc import Callable

import pytest

from frames import CONT, FIN, frame
from voltgate.gateway.edge.connection import KEEPALIVE, MAX_FRAGMENTS
from voltgate.gateway.reasons import Reason
from wire import CLOSE, PING, PONG, TEXT, Charger, Edge

A, B, C = b'[2,"a","Heartbeat",{}]', b'[2,"b","Heartbeat",{}]', b'[2,"c","Heartbeat",{}]'


def closed(charger: Charger, code: int) -> bool:
    """Whether the last frame written was a Close with ``code``."""
    first, payload = charger.wire.frames()[-1]
    return first == CLOSE and int.from_bytes(payload[:2], "big") == code


# -- messages -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(20))
def test_messages_in_any_chunks_come_out_whole_and_in_order(seed: int) -> None:
    dice = random.Random(seed)
    stream = (
        frame(TEXT, A) + frame(PING, b"1") + frame(1, B[:9]) + frame(PING, b"2") + frame(FIN | CONT, B[9:])
    )
    stream += frame(TEXT, C)
    cuts = sorted(dice.sample(range(len(stream)), 6))
    charger = Charger(Edge(), behind=stream[: cuts[0]])
    charger.wire.send(*(stream[i:j] for i, j in zip(cuts, [*cuts[1:], len(stream)], strict=True)))
    assert charger.receiver.messages == [A, B, C]
    assert charger.wire.frames() == [(PONG, b"1"), (PONG, b"2")]


def test_answers_are_written_as_they_are() -> None:
    charger = Charger(Edge())
    charger.wire.frames()
    charger.connection.write(b"\x81\x02[]")
    assert charger.wire.written == b"\x81\x02[]"


def test_a_fault_of_ours_asks_the_charger_to_come_back() -> None:
    charger = Charger(Edge())

    def fail() -> None:
        raise RuntimeError("a fault")

    charger.receiver.on_frame = fail
    charger.send(A, B)
    assert closed(charger, 1011)
    assert charger.receiver.messages == [A]
    assert charger.ends == [Reason.INTERNAL]


BROKEN: dict[str, tuple[bytes, int, Reason]] = {
    "binary": (frame(FIN | 2, b"x"), 1003, Reason.BINARY),
    "unmasked": (frame(TEXT, A, mask=0), 1002, Reason.PROTOCOL),
    "more fragments than MAX_FRAGMENTS": (
        frame(1) + frame(CONT) * MAX_FRAGMENTS,
        1008,
        Reason.FRAGMENTS,
    ),
    "closed by the charger": (frame(CLOSE, b"\x03\xe8"), 1000, Reason.CLIENT),
}


@pytest.mark.parametrize(("sent", "code", "reason"), BROKEN.values(), ids=BROKEN)
def test_what_ends_a_connection_and_that_nothing_behind_it_is_looked_at(
    sent: bytes, code: int, reason: Reason
) -> None:
    edge = Edge()
    charger = Charger(edge)
    charger.wire.send(sent + frame(TEXT, A))
    charger.send(B)
    assert closed(charger, code)
    assert charger.wire.half_closed
    assert (charger.ends, charger.receiver.over, charger.receiver.messages) == ([reason], 1, [])
    charger.wire.lose()
    assert (charger.ends, charger.receiver.over) == ([reason], 1)
    assert edge.shared.buffered.total == 0


def test_as_many_fragments_as_the_contract_allows_are_a_message() -> None:
    charger = Charger(Edge())
    charger.wire.send(frame(1, A) + frame(CONT) * (MAX_FRAGMENTS - 2) + frame(FIN | CONT))
    assert charger.receiver.messages == [A]


# -- the session's side ---------------------------------------------------------------------------------


def test_paused_nothing_goes_to_the_session_and_nothing_is_lost() -> None:
    charger = Charger(Edge())
    charger.receiver.on_frame = charger.connection.pause
    charger.wire.send(frame(TEXT, A) + frame(PING, b"p") + frame(TEXT, B))
    charger.send(C)
    assert charger.receiver.messages == [A]
    assert not charger.wire.is_reading()
    assert charger.wire.frames() == [], "not even a ping"
    charger.connection.resume()
    assert charger.receiver.messages == [A, B]
    assert charger.wire.frames() == [(PONG, b"p")]
    assert not charger.wire.is_reading()
    charger.connection.resume()
    charger.wire.send()
    assert charger.receiver.messages == [A, B, C]


def test_a_paused_charger_is_read_once_for_each_ping() -> None:
    """Its pong is a sign of life, whatever it sent before it."""
    edge = Edge(ping_interval=60, ping_timeout=30)
    charger = Charger(edge)
    charger.connection.pause()
    for _ in range(10):
        edge.pass_time(61)
        assert charger.wire.frames()[-1] == (PING, b"")
        charger.send(b"", first=PONG)
    assert charger.ends == []
    charger.send(A)
    assert charger.receiver.messages == []
    charger.connection.resume()
    charger.wire.send()
    assert charger.receiver.messages == [A]


@pytest.mark.parametrize("waits", [False, True])
def test_a_probe_is_answered_by_the_next_frame_and_no_earlier_one(waits: bool) -> None:
    charger, heard = Charger(Edge()), list[int]()
    if waits:
        charger.receiver.on_frame = charger.connection.pause
        charger.wire.send(frame(TEXT, A) + frame(TEXT, B))
        charger.receiver.on_frame = lambda: None
    charger.wire.frames()
    charger.connection.probe(lambda: heard.append(1))
    assert charger.wire.frames() == [(PING, b"")]
    charger.connection.resume()
    assert heard == []
    charger.wire.send(frame(PONG)[:3])
    assert heard == [], "half a frame"
    charger.wire.send(frame(PONG)[3:])
    charger.send(b"", first=PONG)
    assert heard == [1]


# -- bounds ---------------------------------------------------------------------------------------------


def messages_that_wait(charger: Charger) -> None:
    charger.connection.pause()
    charger.connection.data_received(frame(TEXT, bytes(400_000)))


HELD: dict[str, Callable[[Charger], None]] = {
    "half a frame": lambda charger: charger.wire.send(frame(TEXT, bytes(400_000))[:-9]),
    "a fragment": lambda charger: charger.wire.send(frame(1, bytes(400_000))),
    "half a fragment": lambda charger: charger.wire.send(frame(1) + frame(CONT, bytes(400_000))[:-9]),
    "messages that wait": messages_that_wait,
    "messages in the session": lambda charger: charger.connection.hold(400_000),
}


@pytest.mark.parametrize("hold", HELD.values(), ids=HELD)
def test_what_is_held_counts_and_the_largest_is_closed_with_1009(hold: Callable[[Charger], None]) -> None:
    edge = Edge(max_buffered_bytes=1 << 20)
    largest, other = Charger(edge), Charger(edge)
    hold(largest)
    assert 390_000 < edge.shared.buffered.total < 410_000
    other.connection.hold(300_000)
    assert largest.ends == []
    Charger(edge).connection.hold(350_000)
    assert largest.ends == [Reason.BUFFER_FULL]
    assert closed(largest, 1009)
    assert (other.ends, edge.shared.buffered.total) == ([], 650_000)


def test_answers_that_are_not_read_end_the_connection() -> None:
    edge = Edge(max_unread_bytes=70_000)
    charger = Charger(edge)
    assert charger.wire.high == 70_000
    charger.connection.pause_writing()
    assert charger.wire.is_reset()
    assert charger.ends == [Reason.SLOW_READER]


# -- keepalive ------------------------------------------------------------------------------------------


def test_a_silent_charger_is_pinged_and_then_given_up() -> None:
    edge = Edge(ping_interval=60, ping_timeout=30)
    charger = Charger(edge)
    edge.pass_time(61)
    assert (PING, b"") in charger.wire.frames()
    edge.pass_time(28)
    assert charger.ends == []
    edge.pass_time(2)
    assert charger.wire.is_reset()
    assert charger.ends == [Reason.SILENT]


@pytest.mark.parametrize("sent", [frame(TEXT, A), frame(PONG), frame(TEXT, A)[:3]])
def test_any_byte_is_a_sign_of_life(sent: bytes) -> None:
    edge = Edge(ping_interval=60, ping_timeout=30)
    charger = Charger(edge)
    edge.pass_time(80)
    charger.wire.send(sent)
    edge.pass_time(80)
    assert charger.ends == []


def test_a_charger_that_must_not_be_pinged_is_watched_by_the_kernel() -> None:
    edge = Edge(ping_interval=60, ping_timeout=30)
    with socket.socket() as plug:
        charger = Charger(edge, "no_ping", plug=plug)
        assert plug.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        for option, value in KEEPALIVE:
            assert plug.getsockopt(socket.IPPROTO_TCP, option) == value
    edge.pass_time(1000)
    assert charger.wire.frames() == []
    assert charger.ends == []


# -- limits of a live connection (SIGHUP) ---------------------------------------------------------------


def test_shorter_pings_reach_a_live_connection_and_do_not_end_it() -> None:
    """It was silent for longer than the new limits allow, and nobody had asked it for more."""
    edge = Edge(ping_interval=3600, ping_timeout=30)
    charger = Charger(edge)
    edge.pass_time(1500)
    assert charger.wire.frames() == []
    edge.shared.take(edge.shared.limits.model_copy(update={"ping_interval": 10.0, "ping_timeout": 5.0}))
    edge.pass_time(10.1)
    assert charger.ends == []
    assert charger.wire.frames()[0] == (PING, b"")
    edge.pass_time(5)
    assert charger.ends == [Reason.SILENT]


def test_other_limits_of_a_live_connection() -> None:
    edge = Edge()
    charger = Charger(edge)
    charger.wire.send(frame(TEXT, bytes(400_000))[:-9])
    edge.shared.take(
        edge.shared.limits.model_copy(update={"max_unread_bytes": 65_536, "max_buffered_bytes": 100_000})
    )
    assert charger.wire.high == 65_536
    charger.wire.send(b"\0")
    assert charger.ends == [Reason.BUFFER_FULL]


# -- the end --------------------------------------------------------------------------------------------


def test_a_close_is_written_once_and_the_first_reason_counts() -> None:
    charger = Charger(Edge())
    charger.connection.close(Reason.KICKED)
    charger.connection.close(Reason.DRAIN)
    charger.connection.write(b"\x81\x00")
    assert charger.wire.frames() == [(CLOSE, (1012).to_bytes(2, "big") + Reason.KICKED.value.text.encode())]
    assert charger.ends == [Reason.KICKED]
    assert charger.connection.gone


def test_some_chargers_are_reset_instead() -> None:
    charger = Charger(Edge(), "abort_close")
    charger.connection.close(Reason.KICKED)
    assert charger.wire.is_reset()
    assert charger.wire.frames() == []
    assert charger.ends == [Reason.KICKED]


def test_a_reset_of_all_is_a_drain() -> None:
    charger = Charger(Edge())
    charger.connection.abort()
    assert charger.wire.is_reset()
    assert charger.ends == [Reason.DRAIN]
