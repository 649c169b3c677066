"""Token buckets on accepts, in virtual time."""

from typing import Any

import pytest

from voltgate.gateway.edge import accepts
from voltgate.gateway.edge.accepts import Accepts, Overrun
from wire import Edge

LIMITS: dict[str, Any] = {
    "accepts_per_second": 2.0,
    "accepts_burst": 4,
    "source_accepts_per_second": 1.0,
    "source_accepts_burst": 2,
}


class Door(Edge):
    """One listener, and what it has turned away."""

    def __init__(self, proxied: bool = False, **limits: Any) -> None:
        super().__init__(**LIMITS | limits)
        self.away: list[tuple[Overrun, str]] = []
        self.buckets = Accepts(self.shared, proxied, lambda *how: self.away.append(how))


def test_a_source_has_a_burst_and_a_rate_and_takes_nothing_from_others() -> None:
    door = Door(accepts_burst=100)
    assert [door.buckets.accept("192.0.2.1:1") for _ in range(4)] == [True, True, False, False]
    assert door.away == [(Overrun.SOURCE_ACCEPTS, "192.0.2.1:1")] * 2
    assert door.buckets.accept("192.0.2.2:1")
    door.pass_time(1)
    assert [door.buckets.accept("192.0.2.1:2") for _ in range(2)] == [True, False]


def test_a_listener_has_a_burst_and_a_rate_for_all_sources() -> None:
    door = Door()
    peers = [f"192.0.2.{number}:1" for number in range(6)]
    assert [door.buckets.accept(peer) for peer in peers] == [True] * 4 + [False] * 2
    assert door.away[0] == (Overrun.ACCEPTS, "192.0.2.4:1")
    door.pass_time(1)
    assert [door.buckets.accept(peer) for peer in peers] == [True] * 2 + [False] * 4


def test_behind_a_load_balancer_the_source_is_the_charger() -> None:
    door = Door(proxied=True, accepts_burst=100)
    assert [door.buckets.accept("10.0.0.1:1") for _ in range(9)] == [True] * 9
    assert [door.buckets.name("192.0.2.1:1") for _ in range(3)] == [True, True, False]
    assert door.buckets.name("192.0.2.2:1")


def test_sighup_changes_the_limits_at_once() -> None:
    door = Door()
    assert [door.buckets.accept("192.0.2.1:1") for _ in range(3)] == [True, True, False]
    door.shared.take(door.shared.limits.model_copy(update={"source_accepts_per_second": 50.0}))
    door.pass_time(0.1)
    assert door.buckets.accept("192.0.2.1:1")


def test_the_table_of_sources_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sources with a full bucket make room; while there are none, newcomers share one bucket."""
    monkeypatch.setattr(accepts, "SOURCES", 3)
    door = Door(accepts_burst=100)
    for number in range(3):
        assert door.buckets.accept(f"192.0.2.{number}:1")
    shared = [door.buckets.accept(f"198.51.100.{number}:1") for number in range(3)]
    assert shared == [True, True, False]
    door.pass_time(1)
    assert [door.buckets.accept("203.0.113.1:1") for _ in range(3)] == [True, True, False]
    assert door.buckets.accept("203.0.113.2:1")
