"""Rate limits: refused frames of one charger that are stored, handshakes of a process."""

from voltgate.gateway.rates import HandshakeRate, RejectRate


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


def test_handshakes_have_a_burst_of_one_second() -> None:
    rate = HandshakeRate()
    assert [rate.take(100.0, 3.0) for _ in range(4)] == [True, True, True, False]
    assert [rate.take(100.4, 3.0) for _ in range(2)] == [True, False]


def test_a_slow_rate_of_handshakes_still_lets_one_in() -> None:
    rate = HandshakeRate()
    assert [rate.take(at, 0.5) for at in (0.0, 1.0, 2.0, 3.0)] == [True, False, True, False]


def test_another_rate_of_handshakes_counts_at_once() -> None:
    rate = HandshakeRate()
    assert rate.take(0.0, 1000.0)
    assert [rate.take(0.0, 2.0) for _ in range(3)] == [True, True, False]
    assert [rate.take(1.0, 4.0) for _ in range(5)] == [True] * 4 + [False]
