"""Bytes that count towards ``limits.max_buffered_bytes``, when a socket is read, and whose turn it is."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from voltgate.config import Limits
from voltgate.gateway.edge.backlog import REST, SECONDS, Backlog, Buffered
from voltgate.gateway.reasons import Reason
from wire import Edge, Wire

MIB = 1 << 20


@dataclass
class Slicer:
    """backlog.Feeder: a number that tests set, and what it was told."""

    unfinished: int = 0
    direct: bool = False


@dataclass(eq=False)
class Holder:
    """backlog.Owner with its backlog."""

    buffered: Buffered
    slicer: Slicer = field(default_factory=Slicer)
    wire: Wire = field(default_factory=lambda: Wire(asyncio.Protocol()))
    closed: Reason | None = None
    edge: Edge = field(default_factory=Edge)
    turns: int = 0
    on_turn: Callable[["Holder"], None] = lambda holder: None

    def __post_init__(self) -> None:
        self.backlog = Backlog(self.buffered, self.edge.shared.turns, self, self.slicer, self.wire)
        self.backlog.paused = False
        self.backlog.read()

    def close(self, reason: Reason) -> None:
        self.closed = reason
        self.backlog.end()

    def turn(self) -> None:
        self.turns += 1
        self.backlog.queued = False
        self.on_turn(self)


@pytest.fixture
def buffered() -> Buffered:
    return Buffered(Limits(max_buffered_bytes=MIB))


def unfinished(holder: Holder) -> None:
    holder.slicer.unfinished = 700
    holder.backlog.count()


COUNTED: dict[str, Callable[[Holder], None]] = {
    "bytes that the slicer holds": unfinished,
    "fragments": lambda holder: holder.backlog.fragments(700),
    "large messages in the session": lambda holder: holder.backlog.in_session(700),
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
    backlog = Backlog(buffered, Edge().shared.turns, Holder(buffered), Slicer(), Wire(asyncio.Protocol()))
    assert backlog.paused


def test_the_socket_is_read_unless_it_is_paused_or_queued(buffered: Buffered) -> None:
    holder = Holder(buffered)
    backlog, wire = holder.backlog, holder.wire
    reading = [wire.is_reading()]
    backlog.pause()
    reading.append(wire.is_reading())
    backlog.queue()
    backlog.paused = False
    backlog.read()
    reading.append(wire.is_reading())
    holder.edge.turn()
    backlog.read()
    reading.append(wire.is_reading())
    assert reading == [True, False, False, True]
    assert holder.edge.counted("voltgate_reads_paused_total", bound="turn") == 1


@pytest.mark.parametrize(
    "hindrance",
    [
        lambda holder: holder.backlog.pause(),
        lambda holder: holder.backlog.queue(),
        lambda holder: holder.backlog.in_session(1),
        lambda holder: holder.backlog.fragments(1),
    ],
)
def test_a_chunk_goes_straight_through_while_nothing_is_in_its_way(
    buffered: Buffered, hindrance: Callable[[Holder], None]
) -> None:
    holder = Holder(buffered)
    assert not holder.slicer.direct
    holder.backlog.settle(probed=False)
    assert holder.slicer.direct
    hindrance(holder)
    assert not holder.slicer.direct
    holder.backlog.settle(probed=False)
    assert not holder.slicer.direct


def test_a_chunk_is_looked_at_while_somebody_waits_for_it_or_the_last_one_was_heavy(
    buffered: Buffered,
) -> None:
    holder = Holder(buffered)
    holder.backlog.settle(probed=True)
    assert not holder.slicer.direct
    holder.backlog.heavy = True
    holder.backlog.settle(probed=False)
    assert not holder.slicer.direct


def test_the_end_takes_a_connection_out_of_the_round(buffered: Buffered) -> None:
    holder = Holder(buffered)
    holder.backlog.end()
    holder.backlog.queue()
    assert holder.edge.soon == []


def test_queued_connections_share_one_callback_and_take_turns(buffered: Buffered) -> None:
    edge = Edge()
    holders = [Holder(buffered, edge=edge) for _ in range(3)]

    def go_on(holder: Holder) -> None:
        if holder.turns < 3:
            holder.backlog.queue()

    for holder in holders:
        holder.on_turn = go_on
        holder.backlog.queue()
        holder.backlog.queue()
    for turns in (1, 2, 3):
        assert len(edge.soon) == 1
        edge.turn()
        assert [holder.turns for holder in holders] == [turns] * 3
    assert edge.soon == []


def test_one_turn_of_the_loop_takes_no_longer_than_one_connection_may(buffered: Buffered) -> None:
    edge = Edge()
    holders = [Holder(buffered, edge=edge) for _ in range(4)]

    def be_slow(holder: Holder) -> None:
        edge.time += SECONDS * 0.6
        edge.clock.refresh()

    for holder in holders:
        holder.on_turn = be_slow
        holder.backlog.queue()
    for served in (2, 4):
        edge.turn()
        assert sum(holder.turns for holder in holders) == served
    assert edge.soon == []
    assert edge.rests == [0.0, pytest.approx(2 * SECONDS * 0.6 * REST)], "everybody else is served meanwhile"
