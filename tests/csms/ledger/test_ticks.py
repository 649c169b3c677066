"""Ticks as messages."""

from datetime import UTC, datetime

import pytest

from voltgate.csms.ledger import ticks
from voltgate.csms.ledger.facts import Message, UnreadableError
from voltgate.csms.ledger.ticks import Position, Tick

AT = datetime(2026, 5, 1, 10, tzinfo=UTC)


def message(body: bytes) -> Message:
    return Message("OPS_TICK", 9, "ops.tick", {}, body, 0.0)


def test_a_tick_comes_back_as_it_was_made() -> None:
    positions = {"OCPP_TX": Position("2026-01-01T00:00:00.000Z", 5)}
    assert ticks.decoded(message(ticks.encoded(AT, positions))) == Tick(9, AT, positions, {})
    gauges = {"lag": 3, "OCPP_TX": 80}
    assert ticks.decoded(message(ticks.encoded(AT, positions, gauges))) == Tick(9, AT, positions, gauges)


@pytest.mark.parametrize("body", [b"{", b"[]", b'{"at":"2026-05-01T10:00:00Z"}', b'{"at":1,"positions":{}}'])
def test_what_is_not_a_tick_is_refused(body: bytes) -> None:
    with pytest.raises(UnreadableError):
        ticks.decoded(message(body))
