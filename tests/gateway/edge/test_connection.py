"""Bytes in, messages and frames out; pauses, bounds, keepalive and the end, in virtual time."""

import random
import socket
import zlib
from collections.abc import Callable

import pytest

from frames import CONT, FIN, frame
from voltgate.gateway.edge.connection import MAX_FRAGMENTS
from voltgate.gateway.edge.kernel import KEEPALIVE
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
    pongs = charger.wire.frames()
    assert pongs == [(PONG, b"1"), (PONG, b"2")][-len(pongs) :], "one a turn"


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
    edge.settle()
    assert closed(charger, code)
    assert charger.wire.half_closed
    assert (charger.ends, charger.receiver.over, charger.receiver.messages) == ([reason], 1, [])
    charger.wire.lose()
    assert (charger.ends, charger.receiver.over) == ([reason], 1)
    assert edge.shared.buffered.total == 0


def test_as_many_fragments_as_the_contract_allows_are_a_message() -> None:
    edge = Edge()
    charger = Charger(edge)
    charger.wire.send(frame(1, A) + frame(CONT) * (MAX_FRAGMENTS - 2) + frame(FIN | CONT))
    edge.settle()
    assert charger.receiver.messages == [A]


KEPT: dict[str, tuple[bytes, tuple[bytes, int, str]]] = {
    "binary": (frame(FIN | 2, b"x" * 5000), (b"x" * 4096, 5000, "binary: text messages only")),
    "unmasked": (frame(TEXT, A, mask=0), (A, len(A), "protocol: incorrect masking")),
    "a reserved bit": (frame(TEXT | 0x40, A), (A, len(A), "protocol: reserved bits must be 0")),
    "too big": (
        frame(TEXT, b"[" * 70_000),
        (b"[" * 4096, 70_000, "too_big: frame with 70000 bytes exceeds limit of 65536 bytes"),
    ),
    "too big together": (
        frame(1, b"[" * 65_536) + frame(FIN | CONT, b"]"),
        (
            b"[" * 4096,
            65_536,
            "too_big: frame with 1 bytes after reading 65536 bytes exceeds limit of 65536 bytes",
        ),
    ),
    "too many fragments": (
        frame(1, A) + frame(CONT) * MAX_FRAGMENTS,
        (A, len(A), "fragments: too many fragments"),
    ),
}


@pytest.mark.parametrize(("sent", "kept"), KEPT.values(), ids=KEPT)
def test_what_closes_a_socket_is_kept_as_far_as_it_came(sent: bytes, kept: tuple[bytes, int, str]) -> None:
    edge = Edge(max_message_bytes=65_536)
    charger = Charger(edge)
    charger.wire.send(sent + frame(TEXT, B))
    charger.send(C)
    edge.settle()
    assert charger.receiver.kept == [kept]
    assert [reason.label for reason in charger.ends] == [kept[2].partition(":")[0]]


def test_what_fills_the_buffer_is_kept_as_far_as_it_came() -> None:
    charger = Charger(Edge(max_buffered_bytes=1 << 20, max_message_bytes=1 << 21))
    charger.wire.send(frame(TEXT, A), frame(TEXT, b"[" * 2_000_000)[:1_100_000])
    assert closed(charger, 1009)
    assert charger.receiver.kept == [(b"[" * 4096, 2_000_000, "buffer_full: too many bytes unfinished")]


def test_with_abort_close_a_broken_frame_resets_the_socket_too() -> None:
    for quirks, reset in (((), False), (("abort_close",), True)):
        charger = Charger(Edge(), *quirks)
        charger.wire.send(frame(TEXT | 0x40, A))
        assert charger.ends == [Reason.PROTOCOL]
        assert charger.wire.is_reset() is reset
        assert bool(charger.wire.frames()) is not reset, "no Close frame"


LATIN1 = '[2,"1","Authorize",{"idTag":"Tür"}]'


@pytest.mark.parametrize(
    "sent",
    [
        frame(TEXT, LATIN1.encode("latin-1")),
        frame(1, LATIN1.encode("latin-1")[:5]) + frame(FIN | CONT, LATIN1.encode("latin-1")[5:]),
    ],
    ids=["a frame", "fragments"],
)
def test_with_latin1_what_is_not_utf_8_is_made_so(sent: bytes) -> None:
    charger = Charger(Edge(), "latin1")
    charger.wire.send(sent, frame(TEXT, LATIN1.encode()))
    assert charger.receiver.messages == [LATIN1.encode()] * 2
    charger = Charger(Edge())
    charger.wire.send(sent)
    assert charger.receiver.messages == [LATIN1.encode("latin-1")], "for the session to refuse"


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


def test_a_paused_charger_is_read_by_nobody_and_is_not_silent() -> None:
    edge, probed = Edge(ping_interval=60, ping_timeout=30), list[int]()
    charger = Charger(edge)
    charger.connection.pause()
    charger.send(A)
    for _ in range(10):
        edge.pass_time(61)
        charger.connection.probe(lambda: probed.append(1))
        charger.send(b"", first=PONG)
    assert (charger.ends, charger.receiver.messages, len(probed)) == ([], [], 10)
    assert len(charger.wire.sent) == 11, "in the kernel's buffer, which is bounded"
    charger.connection.resume()
    edge.pass_time(80)
    assert charger.ends == [], "its silence counts from now on"
    charger.wire.send()
    assert charger.receiver.messages == [A]


def test_a_probe_is_answered_by_the_next_frame_and_no_earlier_one() -> None:
    charger, heard = Charger(Edge()), list[int]()
    charger.send(A)
    charger.wire.frames()
    lane = charger.connection.lane
    assert lane.direct
    charger.connection.probe(lambda: heard.append(1))
    assert charger.wire.frames() == [(PING, b"")]
    assert heard == []
    charger.wire.send(frame(PONG)[:3])
    assert heard == [], "half a frame"
    assert not lane.direct, "a plain CALL is a sign of life too"
    charger.wire.send(frame(PONG)[3:])
    charger.send(b"", first=PONG)
    assert heard == [1]
    assert lane.direct


# -- turns of the loop ----------------------------------------------------------------------------------

PACKER = zlib.compressobj(9, zlib.DEFLATED, -11)
PACKED = (PACKER.compress(b" " * 400_000) + PACKER.flush(zlib.Z_SYNC_FLUSH))[:-4]
FLOODS: dict[str, tuple[bytes, int, bool]] = {
    "empty pings": (frame(PING), 64, False),
    "pongs": (frame(PONG), 64, False),
    "empty text frames": (frame(TEXT), 64, False),
    "empty fragments": (frame(CONT), 64, False),
    "large messages": (frame(TEXT, bytes(30_000)), 3, False),
    "deflated frames": (frame(TEXT | 0x40, PACKED), 1, True),
}


@pytest.mark.parametrize(("one", "a_turn", "deflates"), FLOODS.values(), ids=FLOODS)
def test_whatever_is_sent_a_turn_takes_a_bounded_part_of_it(one: bytes, a_turn: int, deflates: bool) -> None:
    edge = Edge()
    charger = Charger(edge, Sec_WebSocket_Extensions="permessage-deflate" if deflates else "")
    if one == frame(CONT):
        charger.wire.send(frame(1))
    charger.wire.frames()
    charger.receiver.costs.clear()
    taken: list[int] = []

    def count() -> int:
        messages = len(charger.receiver.messages)
        return messages if deflates else messages + len(charger.receiver.costs)

    charger.wire.send(one * 500, frame(TEXT, A))
    while edge.soon:
        taken.append(count() - sum(taken))
        assert not charger.wire.is_reading()
        assert edge.shared.buffered.total >= len(one) * (500 - count()), "what waits, as it lies in memory"
        assert edge.shared.buffered.total <= 2 * len(one) * (500 - count()) + 1000
        assert [first for first, _ in charger.wire.frames()].count(PONG) <= 1
        edge.turn()
    assert max(taken) <= a_turn + 1
    assert count() == 500
    assert charger.wire.is_reading()
    assert charger.ends == []


@pytest.mark.parametrize(
    ("heavy", "deflates"),
    [(frame(TEXT, bytes(70_000)), False), (frame(TEXT | 0x40, PACKED), True), (frame(PING) * 64, False)],
    ids=["a large message", "a deflated one", "a turn of pings"],
)
def test_behind_a_heavy_turn_the_next_one_is_taken_in_the_queue(heavy: bytes, deflates: bool) -> None:
    edge = Edge()
    charger = Charger(edge, Sec_WebSocket_Extensions="permessage-deflate" if deflates else "")
    charger.send(A)
    assert edge.soon == []
    charger.wire.send(heavy)
    messages = len(charger.receiver.messages)
    half = len(frame(TEXT, A)) // 2
    for chunk in (frame(TEXT, A)[:half], frame(TEXT, A)[half:]):
        charger.wire.send(chunk)
        assert len(charger.receiver.messages) == messages
        assert len(edge.soon) == 1, "also for a part of a message"
        edge.settle()
    assert len(charger.receiver.messages) == messages + 1
    charger.send(A)
    assert len(charger.receiver.messages) == messages + 2, "a light one: as before"
    assert edge.soon == []


def test_a_paused_connection_gets_no_turn() -> None:
    edge = Edge()
    charger = Charger(edge)
    charger.receiver.on_cost = charger.connection.pause
    charger.wire.send(frame(PING) * 200)
    edge.settle()
    assert len(charger.receiver.costs) == 1
    charger.receiver.on_cost = lambda: None
    charger.connection.resume()
    assert len(charger.receiver.costs) == 65
    edge.settle()
    assert len(charger.receiver.costs) == 200


def test_a_charger_that_hung_up_while_it_is_not_read_is_noticed() -> None:
    edge, probed = Edge(ping_interval=60), list[int]()
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname()) as far,
        server.accept()[0] as near,
    ):
        charger = Charger(edge, plug=near)
        charger.connection.pause()
        charger.connection.probe(lambda: probed.append(1))
        edge.pass_time(200)
        assert (probed, charger.ends) == ([1], [])
        far.close()
        charger.connection.probe(lambda: probed.append(1))
        edge.pass_time(61)
    assert (probed, charger.ends) == ([1], [Reason.CLIENT])


def test_several_pings_in_one_turn_get_one_pong_for_the_last() -> None:
    charger = Charger(Edge())
    charger.wire.send(b"".join(frame(PING, b"%d" % n) for n in range(20)))
    assert charger.wire.frames() == [(PONG, b"19")]
    charger.send(b"20", first=PING)
    assert charger.wire.frames() == [(PONG, b"20")]


def test_what_a_control_frame_and_a_fragment_cost() -> None:
    charger = Charger(Edge())
    charger.wire.send(frame(PING) + frame(PONG) + frame(1) + frame(CONT, b"x") + frame(CONT, bytes(4097)))
    assert charger.receiver.costs == [(1, True), (1, True), (1 / 16, False), (1, False), (2, False)]
    charger.wire.send(frame(FIN | CONT, bytes(9000)))
    assert len(charger.receiver.costs) == 5, "the last one is the message, which the session counts"
    assert len(charger.receiver.messages) == 1
    packed = Charger(Edge(), Sec_WebSocket_Extensions="permessage-deflate")
    packed.wire.send(frame(TEXT | 0x40, PACKED))
    assert packed.receiver.costs == [(400_000 // 65_536, False)], "and one CALL, which the session counts"


def test_a_charger_that_has_spent_its_budget_starts_unread() -> None:
    edge = Edge()
    charger = Charger(edge, behind=frame(TEXT, A), resting=True)
    assert not charger.wire.is_reading()
    assert (charger.receiver.messages, edge.shared.buffered.total) == ([], len(frame(TEXT, A)))
    charger.connection.resume()
    assert charger.receiver.messages == [A]
    assert charger.wire.is_reading()


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


@pytest.mark.parametrize("sent", [frame(TEXT, A), frame(PONG), frame(1, A[:9]), frame(CONT)])
def test_any_frame_and_any_fragment_is_a_sign_of_life(sent: bytes) -> None:
    edge = Edge(ping_interval=60, ping_timeout=30)
    charger = Charger(edge)
    if sent == frame(CONT):
        charger.wire.send(frame(1))
    edge.pass_time(80)
    charger.wire.send(sent)
    edge.pass_time(80)
    assert charger.ends == []


def test_single_bytes_of_an_endless_frame_are_not() -> None:
    edge = Edge(ping_interval=60, ping_timeout=30)
    charger = Charger(edge)
    charger.wire.send(frame(TEXT, bytes(400_000))[:14])
    for _ in range(20):
        edge.pass_time(5)
        charger.wire.send(b"\0")
    assert charger.ends == [Reason.SILENT]


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
