"""The energy, occupation and power of one session by quarter hour, UTC.

Every time zone in use begins its days at a quarter hour, and grid operators bill the mean power of one.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from voltgate.csms.uptime.watch import Session

QUARTER = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class Sample:
    """A reading: of a register, of the power in W, or of both."""

    at: datetime
    register: int | None
    w: int | None


@dataclass(frozen=True, slots=True)
class Slot:
    """``at``: its start. ``sessions`` and ``cost``: in the slot in which the session ended."""

    at: datetime
    mwh: int
    busy_s: int
    peak_w: int
    sessions: int
    cost: int


def slots(session: Session, samples: Sequence[Sample]) -> list[Slot]:
    """Of an ended session. Its energy is spread as the register rose, else evenly; no mWh is lost."""
    if session.started is None or session.ended is None:
        return []
    end = max(session.ended, session.started)
    leaves = max(session.plug_out or end, end)
    curve = _curve(session, end, samples)
    powers = [(one.at, one.w) for one in samples if one.w is not None]
    found = []
    at, reached = quarter(session.started), 0
    while at <= leaves:
        until = at + QUARTER
        delivered = _at(curve, min(until, end), session.mwh)
        busy = min(until, leaves) - max(at, session.started)
        peak = max((w for moment, w in powers if at <= moment < until), default=0)
        mean = (delivered - reached) * 3600 // (QUARTER // timedelta(milliseconds=1))
        ends_here = at <= session.ended < until
        found.append(
            Slot(
                at, delivered - reached, busy // timedelta(seconds=1), max(peak, mean), int(ends_here),
                (session.cost or 0) if ends_here else 0,
            )
        )  # fmt: skip
        at, reached = until, delivered
    return found


def quarter(at: datetime) -> datetime:
    """The start of its quarter hour."""
    at = at.astimezone(UTC)
    return at.replace(minute=at.minute // 15 * 15, second=0, microsecond=0)


def _curve(session: Session, end: datetime, samples: Sequence[Sample]) -> list[tuple[datetime, int]]:
    """(Time, sum of the register's rises up to it), not falling; two points at least."""
    begin = session.first_energy or session.started
    assert begin is not None
    points, total, last = [(min(begin, end), 0)], 0, None
    for one in sorted(samples, key=lambda sample: sample.at):
        if one.register is None or one.at > end:
            continue
        total += max(one.register - last, 0) if last is not None else 0
        points.append((max(one.at, points[-1][0]), total))
        last = one.register
    return points if total else [points[0], (end, 1)]


def _at(curve: Sequence[tuple[datetime, int]], at: datetime, mwh: int) -> int:
    """The share of the energy that was delivered at a time."""
    total = curve[-1][1]
    index = bisect_right(curve, at, key=lambda point: point[0])
    if index == 0:
        return 0
    if index == len(curve):
        return mwh
    (start, before), (end, after) = curve[index - 1], curve[index]
    part = (after - before) * ((at - start) // timedelta(milliseconds=1))
    return mwh * (before * _ms(start, end) + part) // (total * _ms(start, end))


def _ms(start: datetime, end: datetime) -> int:
    return max((end - start) // timedelta(milliseconds=1), 1)
