"""Charging and idle time of a session.

What the charger says (charging states of 2.x, statuses of 1.6) beats its power, and power beats a register
that does not move. Time before the first energy is not idle, nor is time that the charger itself suspended.
After the end a car is idle only where a sign of its unplugging shows until when.
"""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from itertools import pairwise
from operator import itemgetter
from typing import Generic, TypeVar

from voltgate.csms.ledger.samples import Point

T = TypeVar("T")

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
    energy = [_energy(course.curve, at) for at in times]
    words = _Steps((at, SAID[word]) for at, word in course.said if word in SAID)
    powers = _Steps(
        (point.at, point.power) for point in course.points if point.power is not None and point.at is not None
    )
    made = []
    for (begins, ends), (before, after) in zip(pairwise(times), pairwise(energy), strict=True):
        mwh = after - before
        doing = words.at(begins)
        if doing is None:
            power = powers.at(begins)
            doing = _doing(powers.first if power is None else power, ends - begins, mwh, course.idle_power_w)
        begun = first is not None and begins >= first
        made.append(Stretch(begins, ends, mwh, doing, doing is Doing.IDLE and begun))
    if course.plug_out is not None and course.plug_out > course.ended:
        made.append(Stretch(course.ended, course.plug_out, 0, Doing.IDLE, first is not None))
    return tuple(_joined(made))


class _Steps(Generic[T]):
    """Values that hold from a time on. Of several that hold, the last one that was said."""

    def __init__(self, said: Iterable[tuple[datetime, T]]) -> None:
        in_order = list(said)
        self.first = in_order[0][1] if in_order else None
        self._times: list[datetime] = []
        self._values: list[T] = []
        latest = -1
        for number, (at, value) in sorted(enumerate(in_order), key=lambda one: one[1][0]):
            if number > latest:
                latest = number
                self._times.append(at)
                self._values.append(value)

    def at(self, time: datetime) -> T | None:
        """The one that holds at a time; None before the first."""
        place = bisect_right(self._times, time)
        return self._values[place - 1] if place else None


def _energy(curve: Sequence[tuple[datetime, int]], at: datetime) -> int:
    """The energy until ``at``, between two readings in proportion to the time."""
    place = bisect_right(curve, at, key=itemgetter(0))
    last_at, last = curve[max(place - 1, 0)]
    if place in (0, len(curve)):
        return last
    next_at, following = curve[place]
    span = next_at - last_at
    return last + (following - last) * ((at - last_at) // _MS) // max(span // _MS, 1)


def _doing(power: int | None, lasts: timedelta, mwh: int, idle_power_w: int) -> Doing:
    """By its power, or where that is not known by the energy."""
    if power is not None:
        return Doing.CHARGING if power >= idle_power_w else Doing.IDLE
    milliseconds = max(lasts // _MS, 1)
    flat = mwh * 3600 // milliseconds < idle_power_w
    return Doing.IDLE if flat and lasts >= _FLAT_FOR else Doing.CHARGING


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
