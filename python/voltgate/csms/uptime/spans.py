"""Spans of time, as sorted lists without overlap; a span does not contain its end."""

from collections.abc import Iterable
from datetime import datetime, timedelta

Span = tuple[datetime, datetime]


def merged(spans: Iterable[Span]) -> list[Span]:
    """What any of the spans covers, each moment once."""
    found: list[Span] = []
    for start, end in sorted(spans):
        if end <= start:
            continue
        if found and start <= found[-1][1]:
            found[-1] = found[-1][0], max(found[-1][1], end)
        else:
            found.append((start, end))
    return found


def common(one: list[Span], other: list[Span]) -> list[Span]:
    """What both cover."""
    found: list[Span] = []
    i = j = 0
    while i < len(one) and j < len(other):
        start, end = max(one[i][0], other[j][0]), min(one[i][1], other[j][1])
        if start < end:
            found.append((start, end))
        if one[i][1] <= other[j][1]:
            i += 1
        else:
            j += 1
    return found


def without(one: list[Span], other: list[Span]) -> list[Span]:
    """What the first covers and the second does not."""
    if not one:
        return []
    gaps: list[Span] = []
    start = one[0][0]
    for begins, ends in other:
        gaps.append((start, max(start, begins)))
        start = max(start, ends)
    gaps.append((start, max(start, one[-1][1])))
    return common(one, [gap for gap in gaps if gap[0] < gap[1]])


def length(spans: Iterable[Span]) -> timedelta:
    """Of all together."""
    return sum((end - start for start, end in spans), timedelta())
