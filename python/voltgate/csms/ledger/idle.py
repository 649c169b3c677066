"""Charging and idle time of a session.

What the charger says (charging states of 2.x, statuses of 1.6) beats its power, and power beats a register
that does not move. Time before the first energy is not idle, nor is time that the charger itself suspended.
After the end a car is idle only where a sign of its unplugging shows until when.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from itertools import pairwise

from voltgate.csms.ledger.samples import Point

_MS = timedelta(milliseconds=1)
_FLAT_FOR = timedelta(minutes=5)  # a register that rose less than 100 W in this time


class Doing(Enum):
    """What a car does, as far as anybody knows."""

    CHARGING = "charging"
    IDLE = "idle"
    SUSPENDED = "suspended"
    """By the charger: not the driver's idle time."""


SAID = {
    "Charging": Doing.CHARGING,
    "SuspendedEV": Doing.IDLE,
    "EVConnected": Doing.IDLE,
    "Finishing": Doing.IDLE,
    "SuspendedEVSE": Doing.SUSPENDED,
}


@dataclass(frozen=True, slots=True)
class Stretch:
    """Energy and doing between two times."""

    begins: datetime
    ends: datetime
    mwh: int
    doing: Doing
    billable_idle: bool


@dataclass(frozen=True, slots=True)
class Course:
    """A session as it went. ``said``: (time, chargingState or status), in order."""

    started: datetime
    ended: datetime
    plug_out: datetime | None
    curve: Sequence[tuple[datetime, int]]
    points: Sequence[Point]
    said: Sequence[tuple[datetime, str]]
    idle_power_w: int


def stretches(course: Course) -> tuple[Stretch, ...]:
    """The session in stretches without a change, and what comes after its end until the cable is out."""
    cuts = {course.started, course.ended}
    cuts |= {at for at, _ in course.curve} | {at for at, word in course.said if word in SAID}
    cuts |= {point.at for point in course.points if point.at is not None and point.power is not None}
    times = sorted(at for at in cuts if course.started <= at <= course.ended)
    first = next((at for (at, before), (_, after) in pairwise(course.curve) if after > before), None)
    made = []
    for begins, ends in pairwise(times):
        mwh = _energy(course.curve, ends) - _energy(course.curve, begins)
        doing = _doing(course, begins, ends, mwh)
        begun = first is not None and begins >= first
        made.append(Stretch(begins, ends, mwh, doing, doing is Doing.IDLE and begun))
    if course.plug_out is not None and course.plug_out > course.ended:
        made.append(Stretch(course.ended, course.plug_out, 0, Doing.IDLE, first is not None))
    return tuple(_joined(made))


def _energy(curve: Sequence[tuple[datetime, int]], at: datetime) -> int:
    """The energy until ``at``, between two readings in proportion to the time."""
    last_at, last = curve[0]
    for next_at, following in curve:
        if next_at > at:
            span = next_at - last_at
            return last + (following - last) * ((at - last_at) // _MS) // max(span // _MS, 1)
        last_at, last = next_at, following
    return last


def _doing(course: Course, begins: datetime, ends: datetime, mwh: int) -> Doing:
    word = None
    for at, said in course.said:
        if at > begins:
            break
        if said in SAID:
            word = said
    if word is not None:
        return SAID[word]
    powers = [point.power for point in course.points if point.power is not None and point.at is not None]
    if powers:
        power = next(
            (
                point.power
                for point in reversed(course.points)
                if point.power is not None and point.at is not None and point.at <= begins
            ),
            powers[0],
        )
        return Doing.CHARGING if power >= course.idle_power_w else Doing.IDLE
    milliseconds = max((ends - begins) // _MS, 1)
    flat = mwh * 3600 // milliseconds < course.idle_power_w
    return Doing.IDLE if flat and ends - begins >= _FLAT_FOR else Doing.CHARGING


def _joined(made: Iterable[Stretch]) -> Iterable[Stretch]:
    """Neighbours of the same kind and power are one stretch only where both have no energy."""
    last: Stretch | None = None
    for one in made:
        if (
            last is not None
            and (last.doing, last.billable_idle) == (one.doing, one.billable_idle)
            and (not last.mwh and not one.mwh)
        ):
            last = Stretch(last.begins, one.ends, 0, one.doing, one.billable_idle)
            continue
        if last is not None:
            yield last
        last = one
    if last is not None:
        yield last
