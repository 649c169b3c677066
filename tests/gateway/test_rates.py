"""How many refused frames of one charger are stored."""

from voltgate.config import Limits
from voltgate.gateway.rates import RejectRate


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
