"""How many refused frames of one charger are stored."""

from voltgate.gateway.rates import RejectRate


def test_rejects_are_counted_over_any_minute() -> None:
    rate = RejectRate()
    assert [rate.take(at, 2) for at in (0.0, 30.0, 59.0, 60.0, 61.0, 90.0)] == [
        True,
        True,
        False,
        True,
        False,
        True,
    ]


def test_none_at_all_may_be_configured() -> None:
    assert not RejectRate().take(0.0, 0)


def test_a_lower_limit_counts_what_was_stored_before_it() -> None:
    rate = RejectRate()
    assert [rate.take(0.0, 3), rate.take(1.0, 3)] == [True, True]
    assert [rate.take(2.0, 1), rate.take(60.5, 1), rate.take(61.5, 1)] == [False, False, True]
