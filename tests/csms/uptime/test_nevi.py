"""The formula of 23 CFR 680.116(b), on intervals."""

import itertools
from collections import defaultdict
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voltgate.csms.ledger import times
from voltgate.csms.uptime import nevi
from voltgate.csms.uptime.exclusions import Exclusion, Reason
from voltgate.csms.uptime.nevi import Interval
from voltgate.csms.uptime.outages import Kind
from voltgate.csms.uptime.spans import Span

BERLIN, GMT = ZoneInfo("Europe/Berlin"), ZoneInfo("UTC")
WINDOW = nevi.year(date(2026, 2, 10), GMT)
START = WINDOW[0]
Outages = list[tuple[Kind, Span]]


def span(first: float, last: float) -> Span:
    """Of hours since the start of the window."""
    return START + timedelta(hours=first), START + timedelta(hours=last)


def excluding(reason: Reason, first: float, last: float) -> Exclusion:
    begins, ends = span(first, last)
    return Exclusion("default", reason, None, begins, ends, None)


def test_windows() -> None:
    assert (datetime(2025, 3, 1, tzinfo=UTC), datetime(2026, 3, 1, tzinfo=UTC)) == WINDOW
    assert nevi.year(date(2026, 2, 10), BERLIN)[1] == datetime(2026, 2, 28, 23, tzinfo=UTC)
    assert nevi.month(date(2026, 3, 31), BERLIN) == (
        datetime(2026, 2, 28, 23, tzinfo=UTC), datetime(2026, 3, 31, 22, tzinfo=UTC),
    )  # fmt: skip
    leap_start, leap_end = nevi.year(date(2024, 2, 29), GMT)
    assert (leap_end - leap_start).days == 366


@pytest.mark.parametrize(
    ("outages", "exclusions", "outage", "excluded", "ours"),
    [
        ([], [], 0, {}, 0),
        ([(Kind.OFFLINE, span(1, 3))], [], 120, {}, 0),
        ([(Kind.OFFLINE, span(-5, 3))], [], 180, {}, 0),
        ([(Kind.OFFLINE, span(1, 3)), (Kind.FAULTED, span(2, 5))], [], 240, {}, 0),
        ([(Kind.OURS, span(1, 3))], [], 0, {}, 120),
        ([(Kind.OURS, span(1, 3)), (Kind.BROKEN, span(2, 4))], [], 120, {}, 60),
        ([(Kind.FAULTED, span(1, 5))], [excluding(Reason.UTILITY, 2, 9)], 240, {Reason.UTILITY: 180}, 0),
        ([(Kind.FAULTED, span(1, 5))], [excluding(Reason.UTILITY, 7, 9)], 240, {}, 0),
        ([(Kind.FAULTED, span(0, 10))], [excluding(Reason.VANDALISM, 4, 8), excluding(Reason.UTILITY, 2, 6)],
         600, {Reason.UTILITY: 240, Reason.VANDALISM: 120}, 0),
        ([(Kind.OURS, span(1, 3))], [excluding(Reason.MAINTENANCE, 0, 9)], 0, {}, 120),
    ],
)  # fmt: skip
def test_what_counts(
    outages: Outages, exclusions: list[Exclusion], outage: int, excluded: dict[Reason, int], ours: int
) -> None:
    found = nevi.uptime(outages, exclusions, WINDOW, times.EPOCH, GMT)
    assert found.outage == outage
    assert found.excluded == {reason: Decimal(value) for reason, value in excluded.items()}
    assert found.ours == ours
    assert found.percent == (Decimal(525_600) - outage + sum(excluded.values())) / Decimal(5256)


def test_a_young_port_is_judged_by_the_minutes_it_has_had() -> None:
    since = WINDOW[1] - timedelta(hours=100)
    outage = [(Kind.OFFLINE, (WINDOW[1] - timedelta(hours=10), WINDOW[1]))]
    found = nevi.uptime(outage, [], WINDOW, since, GMT)
    assert found.minutes == 6000
    assert found.percent == 90
    assert nevi.uptime([], [], WINDOW, WINDOW[1], GMT).percent == 100


def test_a_leap_year_that_was_out_all_the_time_is_zero() -> None:
    window = nevi.year(date(2024, 2, 29), GMT)
    assert nevi.uptime([(Kind.OFFLINE, window)], [], window, times.EPOCH, GMT).percent == 0


SPANS = st.tuples(st.integers(0, 40), st.integers(0, 40)).map(lambda pair: span(min(pair), max(pair) + 1))
OUTAGES = st.lists(st.tuples(st.sampled_from(Kind), SPANS), max_size=8)
EXCLUSIONS = st.lists(
    st.tuples(st.sampled_from(Reason), st.integers(0, 40), st.integers(0, 40)).map(
        lambda one: excluding(one[0], min(one[1:]), max(one[1:]) + 1)
    ),
    max_size=4,
)


@given(OUTAGES, EXCLUSIONS)
def test_intervals_never_overlap_and_add_up_to_the_formula(
    outages: Outages, exclusions: list[Exclusion]
) -> None:
    found = nevi.uptime(outages, exclusions, WINDOW, times.EPOCH, GMT)
    cut = nevi.intervals(outages, exclusions, WINDOW, GMT)
    assert all(one.end <= other.start for one, other in itertools.pairwise(cut))
    sums = defaultdict[Reason | None, Decimal](Decimal)
    for one in cut:
        if one.kind is not Kind.OURS:
            sums[one.excluded] += Decimal((one.end - one.start).total_seconds()) / 60
    assert {reason: value for reason, value in sums.items() if reason} == found.excluded
    assert sum(sums.values()) == found.outage
    ours = [one for one in cut if one.kind is Kind.OURS]
    assert sum((one.end - one.start).total_seconds() for one in ours) / 60 == found.ours


def test_intervals_are_cut_at_exclusions() -> None:
    cut = nevi.intervals([(Kind.FAULTED, span(1, 5))], [excluding(Reason.UTILITY, 2, 3)], WINDOW, GMT)
    assert cut == [
        Interval(*span(1, 2), Kind.FAULTED, None),
        Interval(*span(2, 3), Kind.FAULTED, Reason.UTILITY),
        Interval(*span(3, 5), Kind.FAULTED, None),
    ]
