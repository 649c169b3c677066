"""How much one charger may say."""

from voltgate.config import Limits
from voltgate.gateway.pace import CallRate, RejectRate


def test_a_burst_passes_and_then_the_rate_rules() -> None:
    rate = CallRate(Limits(calls_per_second=10, calls_burst=3), 0.0)
    assert [rate.take(0.0) for _ in range(3)] == [0, 0, 0]
    assert rate.take(0.0) == 0.1
    assert rate.take(10.0) == 0, "rest refills the burst, and not more"
    assert [rate.take(10.0) for _ in range(3)] == [0, 0, 0.1]


def test_rejects_are_counted_over_any_minute() -> None:
    rate = RejectRate(Limits(rejects_per_minute=2))
    assert [rate.take(at) for at in (0.0, 30.0, 59.0, 60.0, 61.0, 90.0)] == [
        True,
        True,
        False,
        True,
        False,
        True,
    ]


def test_none_at_all_may_be_configured() -> None:
    assert not RejectRate(Limits(rejects_per_minute=0)).take(0.0)
