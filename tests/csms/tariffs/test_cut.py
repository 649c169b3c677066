"""Segments: that they cover the usage, and that splitting a period changes no bill."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from csms.tariffs.sessions import BERLIN, CHARGING, IDLE, tariff, used
from voltgate.csms.tariffs.cut import MICROSECOND, cut
from voltgate.csms.tariffs.price import price
from voltgate.csms.tariffs.tariff import Tariff
from voltgate.csms.tariffs.usage import Period, Usage

MINUTE = 60_000_000


def test_a_segment_ends_where_a_price_begins() -> None:
    sold = tariff(
        energy=[{"priceKwh": 1, "conditions": {"startTimeOfDay": "12:30"}}, {"priceKwh": 2}],
        idleTime=[{"priceMinute": 3, "conditions": {"minIdleTime": 600}}],
    )
    usage = used("2026-06-01 10:00", (60, 6, CHARGING), (20, 0.002, IDLE))
    segments = [
        (one.begin // MINUTE, one.length // MINUTE, one.mwh, [p and int(p.price) for p in one.prices])
        for one in cut(usage, sold, BERLIN)
    ]
    assert segments == [
        (0, 30, 3_000_000, [2, None]),
        (30, 30, 3_000_000, [1, None]),
        (60, 10, 1_000, [1, None]),
        (70, 10, 1_000, [1, 3]),
    ]


CLOCKS = st.sampled_from(["00:00", "02:00", "02:30", "03:00", "12:00", "22:00"])
CONDITIONS = st.fixed_dictionaries(
    {},
    optional={
        "startTimeOfDay": CLOCKS,
        "endTimeOfDay": CLOCKS,
        "dayOfWeek": st.lists(st.sampled_from(["Saturday", "Sunday"]), min_size=1, max_size=2),
        "minEnergy": st.integers(0, 3),
        "maxEnergy": st.integers(1, 4),
        "minPower": st.integers(0, 3),
        "minTime": st.integers(0, 5000),
        "maxChargingTime": st.integers(1, 3000),
        "minIdleTime": st.integers(0, 3000),
    },
)


def component(name: str) -> st.SearchStrategy[list[dict[str, Any]]]:
    prices = st.fixed_dictionaries(
        {name: st.sampled_from([0.1, 0.2, 0.35])}, optional={"conditions": CONDITIONS}
    )
    return st.lists(prices, min_size=1, max_size=3)


TARIFFS = st.builds(
    tariff,
    energy=component("priceKwh"),
    chargingTime=component("priceMinute"),
    idleTime=component("priceMinute"),
    minCost=st.just({"inclTax": 1}),
)
MILLISECOND = timedelta(milliseconds=1)


@st.composite
def usages(draw: st.DrawFn) -> tuple[Usage, Usage]:
    """The same use in few periods and in many; the nights in which clocks change are among them."""
    night = draw(
        st.sampled_from([datetime(2026, 3, 28, 22), datetime(2026, 10, 24, 21), datetime(2026, 6, 5, 20)])
    )
    at = night.replace(tzinfo=UTC) + draw(st.integers(0, 36_000)) * 100 * MILLISECOND
    whole, split = [], []
    for _ in range(draw(st.integers(1, 4))):
        # A period of n parts, each of the same time and energy: cut at any of them it is the same line.
        parts, length, mwh = draw(st.integers(1, 60)), draw(st.integers(1, 300_000)), draw(st.integers(0, 80))
        state = draw(st.sampled_from([(True, False), (False, True), (False, False)]))
        part = length * MILLISECOND
        whole.append(Period(at, at + parts * part, parts * mwh, *state))
        cuts = sorted({0, parts, *draw(st.lists(st.integers(0, parts), max_size=5))})
        for first, last in pairwise(cuts):
            split.append(Period(at + first * part, at + last * part, (last - first) * mwh, *state))
        at += parts * part
    return Usage(tuple(whole)), Usage(tuple(split))


@given(TARIFFS, usages())
def test_splitting_a_period_changes_nothing(sold: Tariff, both: tuple[Usage, Usage]) -> None:
    whole, split = both
    assert price(split, sold, BERLIN) == price(whole, sold, BERLIN)


@given(TARIFFS, usages())
def test_segments_are_the_usage(sold: Tariff, both: tuple[Usage, Usage]) -> None:
    """No time and no energy is lost, doubled or moved between periods."""
    for usage in both:
        segments = list(cut(usage, sold, BERLIN))
        for before, after in pairwise(segments):
            assert before.begin + before.length == after.begin
        for period in usage.periods:
            own = [one for one in segments if one.period is period]
            begin = (period.start - usage.periods[0].start) // MICROSECOND
            assert own[0].begin == begin
            assert sum(one.length for one in own) == (period.end - period.start) // MICROSECOND
            assert sum(one.mwh for one in own) == period.mwh
            assert min(one.mwh for one in own) >= 0
