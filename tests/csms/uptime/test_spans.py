"""The algebra of spans, against sets of single hours."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voltgate.csms.uptime.spans import Span, common, length, merged, without

DAY = datetime(2026, 3, 2, tzinfo=UTC)


def span(start: int, end: int) -> Span:
    return DAY + timedelta(hours=start), DAY + timedelta(hours=end)


def hours(spans: list[Span]) -> set[int]:
    return {
        hour for hour in range(30) if any(start <= DAY + timedelta(hours=hour) < end for start, end in spans)
    }


SPANS = st.lists(st.tuples(st.integers(0, 24), st.integers(0, 24)).map(lambda pair: span(*pair)), max_size=6)


@pytest.mark.parametrize(
    ("spans", "found"),
    [
        ([], []),
        ([(3, 3), (5, 4)], []),
        ([(1, 2), (2, 4)], [(1, 4)]),
        ([(1, 9), (2, 3)], [(1, 9)]),
        ([(5, 6), (1, 2)], [(1, 2), (5, 6)]),
    ],
)
def test_spans_are_merged(spans: list[tuple[int, int]], found: list[tuple[int, int]]) -> None:
    assert merged(span(*one) for one in spans) == [span(*one) for one in found]


@given(SPANS, SPANS)
def test_what_is_common_and_what_is_left(one: list[Span], other: list[Span]) -> None:
    one, other = merged(one), merged(other)
    assert hours(common(one, other)) == hours(one) & hours(other)
    assert hours(without(one, other)) == hours(one) - hours(other)
    assert length(one) == timedelta(hours=len(hours(one)))
    for spans in (common(one, other), without(one, other)):
        assert spans == merged(spans)
