"""Timers and clock of a process, turned by hand."""

import pytest

from voltgate.gateway.clock import TICK, Wheel


class Time:
    """A monotonic clock under the test's hand."""

    def __init__(self) -> None:
        self.now = 100.0
        self.wheel = Wheel(lambda: self.now, lambda: 5.0)
        self.fired: list[str] = []

    def go(self, seconds: float) -> None:
        self.now += seconds
        self.wheel.advance()


@pytest.mark.parametrize("after", [0.0, 0.01, TICK, 0.25, 1.0, 60.0])
def test_a_timer_is_never_early_and_at_most_a_tick_late(after: float) -> None:
    time = Time()
    time.wheel.after(after, time.fired.append, "x")
    if after > 0.01:
        time.go(after - 0.01)
        assert time.fired == []
        time.go(0.011 + TICK)
    else:
        time.go(after + 2 * TICK)
    assert time.fired == ["x"]


def test_timers_fire_in_order_and_once() -> None:
    time = Time()
    for after in (3, 1, 2):
        time.wheel.after(after, time.fired.append, str(after))
    time.go(10)
    time.go(10)
    assert time.fired == ["1", "2", "3"]


def test_a_cancelled_timer_never_fires() -> None:
    time = Time()
    timer = time.wheel.after(1, time.fired.append, "x")
    timer.cancel()
    timer.cancel()
    time.go(2)
    assert time.fired == []


def test_a_timer_may_set_and_cancel_other_timers() -> None:
    time = Time()

    def first() -> None:
        neighbour.cancel()
        time.wheel.after(1, time.fired.append, "next")

    time.wheel.after(1, first)
    neighbour = time.wheel.after(1, time.fired.append, "neighbour")
    time.go(1.2)
    time.go(1.2)
    assert time.fired == ["next"]


def test_now_is_updated_by_refresh() -> None:
    time = Time()
    time.now += 0.003
    assert time.wheel.now == 100.0
    time.wheel.refresh()
    assert time.wheel.now == pytest.approx(100.003)
    assert time.wheel.time_ms == 5003
