"""Rate limits: refused frames of one charger that are stored, handshakes, budgets of chargers."""

import pytest

from voltgate.config import Limits
from voltgate.gateway.rates import FORGOTTEN, FREE_LOGINS, Bucket, Budgets, RejectRate, source_of


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


def test_a_limit_of_zero_rejects_stores_none() -> None:
    assert not RejectRate().take(0.0, 0)


def test_a_lower_limit_counts_what_was_stored_before_it() -> None:
    rate = RejectRate()
    assert [rate.take(0.0, 3), rate.take(1.0, 3)] == [True, True]
    assert [rate.take(2.0, 1), rate.take(60.5, 1), rate.take(61.5, 1)] == [False, False, True]


def test_a_bucket_has_a_burst_and_a_rate() -> None:
    bucket = Bucket()
    assert [bucket.take(100.0, 3.0, 3.0) for _ in range(4)] == [True, True, True, False]
    assert [bucket.take(100.4, 3.0, 3.0) for _ in range(2)] == [True, False]
    assert [bucket.is_full(at, 3.0, 3.0) for at in (100.9, 101.5)] == [False, True]


def test_a_slow_bucket_still_lets_one_in() -> None:
    bucket = Bucket()
    assert [bucket.take(at, 0.5, 1.0) for at in (0.0, 1.0, 2.0, 3.0)] == [True, False, True, False]


def test_another_rate_of_a_bucket_counts_at_once() -> None:
    bucket = Bucket()
    assert bucket.take(0.0, 1000.0, 1000.0)
    assert [bucket.take(0.0, 2.0, 2.0) for _ in range(3)] == [True, True, False]
    assert [bucket.take(1.0, 4.0, 4.0) for _ in range(5)] == [True] * 4 + [False]


# -- budgets that outlive a reconnect --------------------------------------------------------------------


@pytest.fixture
def shared() -> list[int]:
    return [0]


@pytest.fixture
def budgets(shared: list[int]) -> Budgets:
    return Budgets(shared)


def room(chargers: int) -> Limits:
    return Limits(remembered_chargers=chargers, calls_per_second=1, stored_bytes_per_second=1)


def test_with_credentials_a_budget_belongs_to_the_identity(budgets: Budgets) -> None:
    assert budgets.of("CP1", None, 0.0, room(10)) is budgets.of("CP1", None, 5.0, room(10))
    assert budgets.of("CP1", None, 0.0, room(10)) is not budgets.of("CP2", None, 0.0, room(10))


def test_without_credentials_nobody_can_spend_for_another_source(budgets: Budgets) -> None:
    mine = budgets.of("CP1", "192.0.2.1", 0.0, room(10))
    assert budgets.of("CP1", "192.0.2.1", 0.0, room(10)) is mine
    assert budgets.of("CP1", "192.0.2.2", 0.0, room(10)) is not mine
    assert budgets.of("CP1", None, 0.0, room(10)) is not mine


def test_beyond_the_bound_newcomers_share_one_per_source(budgets: Budgets, shared: list[int]) -> None:
    for n in range(2):
        budgets.of(f"CP{n}", "192.0.2.9", 0.0, room(2)).users += 1
    first, second = (budgets.of(name, "192.0.2.1", 0.0, room(2)) for name in ("X", "Y"))
    assert first is second
    assert budgets.of("Z", "192.0.2.2", 0.0, room(2)) is not first
    assert (len(budgets), shared) == (2, [3])
    first.users += 1
    budgets.of("Z", "192.0.2.2", 0.0, room(2)).users += 1
    sources = {id(budgets.of("Z", f"192.0.2.{n}", 0.0, room(2))) for n in range(3, 250)}
    assert len(sources) == 1, "the table of sources is bounded too"


def test_a_partly_spent_budget_is_not_evicted(budgets: Budgets) -> None:
    spent = [budgets.of(f"CP{n}", None, 0.0, room(4)) for n in range(4)]
    spent[0].calls = spent[1].stored = 100.0
    assert spent[2].reject(70.0, 1)
    spent[3].users = 1
    for n in range(100):
        budgets.of(f"X{n}", None, 90.0, room(4))
    assert [budgets.of(f"CP{n}", None, 90.0, room(4)) for n in range(4)] == spent
    spent[3].users = 0
    fresh = budgets.of("X0", None, 131.0, room(4))
    assert fresh not in spent
    assert len(budgets) == 1, "all who are as good as new make room at once"


def test_a_flood_of_identities_does_not_make_the_table_grow(budgets: Budgets) -> None:
    for n in range(10_000):
        budgets.of(f"X{n}", "192.0.2.1", float(n), room(100))
    assert len(budgets) <= 100


@pytest.mark.parametrize(
    ("peer", "source"),
    [
        ("192.0.2.1:5000", "192.0.2.1"),
        ("2001:db8:1:2:3::9:5000", "2001:0db8:0001:0002"),
        ("fe80::1%eth0:5000", "fe80:0000:0000:0000"),
        ("::ffff:192.0.2.1:5000", "192.0.2.1"),
        ("", ""),
    ],
)
def test_the_source_of_a_peer(peer: str, source: str) -> None:
    assert source_of(peer) == source


def test_strangers_take_no_place_of_chargers_with_credentials(budgets: Budgets, shared: list[int]) -> None:
    for n in range(10):
        budgets.of(f"X{n}", "192.0.2.1", 0.0, room(4)).calls = 1000.0
    before = shared[0]
    budgets.of("CP1", None, 0.0, room(4))
    assert shared == [before]


def test_failed_logins_have_a_rate_and_others_cost_nothing(budgets: Budgets) -> None:
    limits = Limits(logins_per_minute=3)
    allowance = budgets.of("CP1", "192.0.2.1", 0.0, limits)
    for _ in range(2 * FREE_LOGINS):
        assert allowance.login(0.0, limits)
        allowance.logged_in(limits)
    assert [allowance.login(at, limits) for at in (0.0, 0.0, 0.0, 0.0, 19.0, 21.0, 21.0)] == [
        True, True, True, False, False, True, False,
    ]  # fmt: skip
    assert budgets.of("CP1", "192.0.2.2", 0.0, limits).login(0.0, limits)


def test_logins_that_fail_in_a_row_wait_longer_each_time(budgets: Budgets) -> None:
    """A second, two, four, up to login_delay; tries before their time change nothing."""
    limits = Limits(login_delay=10.0)
    allowance, now, waits = budgets.of("CP1", "192.0.2.1", 0.0, limits), 1000.0, []
    for _ in range(FREE_LOGINS):
        assert allowance.login(now, limits)
    for _ in range(6):
        tried = now
        while not allowance.login(now, limits):
            now += 0.5
        waits.append(now - tried)
    assert waits == [1.0, 2.0, 4.0, 8.0, 10.0, 10.0]
    assert not allowance.idle(now + FORGOTTEN - 1, limits), "the next newcomer does not take its place"
    assert allowance.idle(now + FORGOTTEN + 1, limits)
    assert [allowance.login(now + FORGOTTEN + 1, limits) for _ in range(2)] == [True, True]


def test_a_login_that_passes_ends_the_delay(budgets: Budgets) -> None:
    limits = Limits()
    allowance = budgets.of("CP1", "192.0.2.1", 0.0, limits)
    for _ in range(FREE_LOGINS):
        allowance.login(0.0, limits)
    assert [allowance.login(at, limits) for at in (0.5, 1.5)] == [False, True]
    allowance.logged_in(limits)
    assert [allowance.login(1.5, limits) for _ in range(FREE_LOGINS)] == [True] * FREE_LOGINS
