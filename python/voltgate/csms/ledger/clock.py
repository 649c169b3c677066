"""Clocks of chargers: when a session's messages were really made.

A backlog is old, not wrong: messages that waited in a charger came late, and their times stay. A clock is
wrong where a message has a time in the future, where the statuses after an answered boot show it, where the
messages came one by one, all late by the same, or where the year is one before OCPP.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from statistics import median_low

TOLERATED = timedelta(seconds=120)
_STEADY = timedelta(seconds=60)
_OLDEST = datetime(2020, 1, 1, tzinfo=UTC)
_NONE = timedelta()


def offset(times: Sequence[tuple[datetime, datetime]], statuses: Iterable[timedelta]) -> timedelta:
    """What to add to the charger's times; zero: its clock is right, or nothing proves that it is not.

    ``times``: (receipt, charger's time) of a session's messages. ``statuses``: receipt minus time of the
    statuses that came at once, on the same connections.
    """
    if not times:
        return _NONE
    late = [received - at for received, at in times]
    most_live = min(late)
    ahead = [one for one in late if one < -TOLERATED]
    if len(ahead) * 2 >= len(late):
        return most_live
    most_live = min(one for one in late if one >= -TOLERATED)  # a single time of the future is a slip
    if most_live <= TOLERATED:
        return _NONE
    known = list(statuses)
    if known:
        shown = timedelta(milliseconds=median_low(one // timedelta(milliseconds=1) for one in known))
        if abs(shown) > TOLERATED and most_live >= shown - TOLERATED:
            return shown
        if min(at for _, at in times) >= _OLDEST:
            return _NONE
    receipts = [received for received, _ in times]
    one_by_one = max(receipts) - min(receipts) > _STEADY
    if one_by_one and max(late) - most_live <= _STEADY:
        return most_live
    if max(at for _, at in times) < _OLDEST:
        return most_live
    return _NONE
