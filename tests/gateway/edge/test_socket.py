"""How a socket is closed, before and after its upgrade, and which limits reach it while it is open."""

from collections.abc import Callable

import pytest

from frames import frame
from voltgate.gateway.edge.socket import LINGER
from voltgate.gateway.reasons import Reason, Refusal
from wire import TEXT, Charger, Edge, Wire, request


def refused(edge: Edge) -> Wire:
    return edge.knock(lambda upgrade: upgrade.refuse(Refusal.FULL), request())


def closed(edge: Edge) -> Wire:
    charger = Charger(edge)
    charger.connection.pause()
    charger.connection.close(Reason.DRAIN)
    return charger.wire


ENDS = [refused, closed]


@pytest.mark.parametrize("end", ENDS)
def test_a_closing_socket_is_read_to_its_end_but_not_for_ever(end: Callable[[Edge], Wire]) -> None:
    """Bytes that are left unread would make the kernel reset it, and the charger lose what was written."""
    edge = Edge()
    wire = end(edge)
    assert wire.half_closed
    wire.send(frame(TEXT, b"[]"), b"more")
    assert wire.sent == []
    edge.pass_time(LINGER - 0.1)
    assert not wire.is_reset()
    edge.pass_time(0.2)
    assert wire.is_reset()


@pytest.mark.parametrize("end", ENDS)
def test_new_limits_leave_a_closing_socket_alone(end: Callable[[Edge], Wire]) -> None:
    edge = Edge()
    wire, high = end(edge), 70_000
    edge.shared.take(edge.shared.limits.model_copy(update={"max_unread_bytes": high}))
    assert wire.high != high
    edge.pass_time(LINGER + 0.1)
    assert wire.is_reset()


def test_a_transport_that_cannot_half_close_is_closed() -> None:
    """That of TLS."""
    wire = Edge().knock(lambda upgrade: upgrade.refuse(Refusal.FULL))
    wire.can_half_close = False
    wire.send(request())
    assert wire.closed
    assert not wire.is_reset()


def test_a_socket_is_open_until_its_transport_is_gone() -> None:
    edge = Edge()
    wires = [refused(edge), closed(edge)]
    assert len(edge.shared.open) == 2
    for wire in wires:
        wire.lose()
    assert edge.shared.open == set()
    edge.pass_time(LINGER + 0.1)
    assert not any(wire.is_reset() for wire in wires), "their deadlines are off"
