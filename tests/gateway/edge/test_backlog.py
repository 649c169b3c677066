"""Bytes that count towards ``limits.max_buffered_bytes``, and when a socket is read."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from voltgate.config import Limits
from voltgate.gateway.edge.backlog import Backlog, Buffered
from voltgate.gateway.reasons import Reason
from wire import CODEC, Wire

MIB = 1 << 20


@dataclass
class Slicer:
    """backlog.Feeder: a number that tests set."""

    unfinished: int = 0


@dataclass(eq=False)
class Holder:
    """backlog.Owner with its backlog."""

    buffered: Buffered
    slicer: Slicer = field(default_factory=Slicer)
    wire: Wire = field(default_factory=lambda: Wire(asyncio.Protocol()))
    closed: Reason | None = None

    def __post_init__(self) -> None:
        self.backlog = Backlog(self.buffered, self, self.slicer, self.wire)
        self.backlog.resume()
        self.backlog.read_on()

    def close(self, reason: Reason) -> None:
        self.closed = reason
        self.backlog.end()


@pytest.fixture
def buffered() -> Buffered:
    return Buffered(Limits(max_buffered_bytes=MIB))


def unfinished(holder: Holder) -> None:
    holder.slicer.unfinished = 700
    holder.backlog.settle()


def waiting(holder: Holder) -> None:
    holder.backlog.pause()
    holder.backlog.keep([b"x" * 300, CODEC.decode(b" " * 400)])
    holder.backlog.settle()


COUNTED: dict[str, Callable[[Holder], None]] = {
    "a frame that is not whole": unfinished,
    "fragments": lambda holder: holder.backlog.fragments(700),
    "large messages in the session": lambda holder: holder.backlog.in_session(700),
    "pieces that wait": waiting,
}


@pytest.mark.parametrize("hold", COUNTED.values(), ids=COUNTED)
def test_what_counts_and_that_its_end_takes_it_away(
    buffered: Buffered, hold: Callable[[Holder], None]
) -> None:
    holder = Holder(buffered)
    hold(holder)
    assert buffered.total == holder.backlog.counted == 700
    holder.backlog.end()
    assert buffered.total == holder.backlog.counted == 0
    hold(holder)
    assert buffered.total == 0, "nothing counts after the end"


def test_all_that_counts_is_added_up(buffered: Buffered) -> None:
    holder = Holder(buffered)
    for hold in COUNTED.values():
        hold(holder)
    assert buffered.total == 2800
    assert [len(piece) if isinstance(piece, bytes) else piece.size for piece in holder.backlog.resume()] == [
        300,
        400,
    ]
    holder.backlog.read_on()
    assert buffered.total == 2100


def test_above_the_limit_the_largest_is_closed_until_it_fits(buffered: Buffered) -> None:
    holders = [Holder(buffered) for _ in range(4)]
    for holder, size in zip(holders, (300_000, 400_000, 200_000), strict=False):
        holder.backlog.in_session(size)
    assert [holder.closed for holder in holders] == [None] * 4
    holders[3].backlog.in_session(350_000)
    assert [holder.closed for holder in holders] == [None, Reason.BUFFER_FULL, None, None]
    assert buffered.total == 850_000
    holders[3].backlog.in_session(1_000_000)
    assert holders[3].closed is Reason.BUFFER_FULL, "it may be the one that has just grown"
    assert buffered.total == 500_000


def test_a_lower_limit_counts_from_the_next_bytes_on(buffered: Buffered) -> None:
    large, small = Holder(buffered), Holder(buffered)
    large.backlog.in_session(MIB - 10)
    buffered.limits = Limits(max_buffered_bytes=MIB).model_copy(update={"max_buffered_bytes": 1000})
    assert large.closed is None
    small.backlog.in_session(10)
    assert [holder.closed for holder in (large, small)] == [Reason.BUFFER_FULL, None]


def test_a_connection_begins_paused(buffered: Buffered) -> None:
    backlog = Backlog(buffered, Holder(buffered), Slicer(), Wire(asyncio.Protocol()))
    assert backlog.paused


def test_while_paused_one_chunk_is_read_per_listen(buffered: Buffered) -> None:
    holder = Holder(buffered)
    backlog, wire = holder.backlog, holder.wire
    backlog.listen()
    assert wire.is_reading()
    backlog.pause()
    assert not wire.is_reading()
    backlog.listen()
    assert wire.is_reading()
    backlog.settle()
    assert not wire.is_reading(), "the chunk was read"
    assert backlog.resume() == []
    backlog.read_on()
    assert wire.is_reading()


def test_what_waits_keeps_its_order_and_may_wait_again(buffered: Buffered) -> None:
    holder = Holder(buffered)
    backlog = holder.backlog
    backlog.pause()
    backlog.keep([b"1", b"2"])
    backlog.keep([b"3"])
    pieces = backlog.resume()
    assert pieces == [b"1", b"2", b"3"]
    backlog.pause()  # the first one filled the session again
    backlog.keep(pieces[1:])
    backlog.read_on()
    assert not holder.wire.is_reading()
    assert backlog.resume() == [b"2", b"3"]
