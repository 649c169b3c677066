"""One register of a session: the sum of its rises, and whether the readings at the edges belong to it.

Samples may count from the session's start while start and stop show the meter's life, or the other way round:
each series is judged for itself, and never subtracted from another.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from voltgate.csms.ledger.flags import Flag
from voltgate.csms.ledger.samples import BEGIN, END, Point

SLACK_MWH = 100_000  # of every bound: 100 Wh
_RESET_SHARE = 2  # a fall to less than half is a new register
_MS = timedelta(milliseconds=1)


def bound(duration: timedelta, max_power_w: int) -> int:
    """The most energy that a connector can deliver, mWh: a tenth more, and 100 Wh."""
    milliseconds = max(duration, timedelta()) // _MS
    return max_power_w * milliseconds * 11 // 36_000 + SLACK_MWH


@dataclass(slots=True)
class Rises:
    """The sum of the rises of one register, reading by reading."""

    max_power_w: int
    total: int = 0
    curve: list[tuple[datetime, int]] = field(default_factory=list)
    flags: set[Flag] = field(default_factory=set)
    readings: int = 0
    was_reset: bool = False
    _at: datetime | None = None
    _highest: int = 0
    _doubted: tuple[datetime, int] | None = None

    def add(self, at: datetime, register: int) -> None:
        """One reading; earlier than the last it counts nothing."""
        if self._at is None:
            self._take(at, register)
            return
        if at < self._at:
            return
        self.readings += 1
        if register < self._highest:
            self._fell(at, register)
        elif register - self._highest <= bound(at - self._at, self.max_power_w):
            self.total += register - self._highest
            self._take(at, register)
        elif self._doubted is not None and self._follows(self._doubted, at, register):
            # The first reading was the wrong one (a placeholder): go on from where the register is.
            self.total += register - self._doubted[1]
            self._take(at, register)
        else:
            self.flags.add(Flag.BEYOND_PHYSICS)
            if self._doubted is None or not self._steps_back(self._doubted[1], register):
                self._doubted = (at, register)
            # Else the higher one stays: only what rises above both is new.

    def _fell(self, at: datetime, register: int) -> None:
        self.flags.add(Flag.REGISTER_FELL)
        if self._steps_back(self._highest, register):
            # Only what rises above the highest reading is new.
            self.curve.append((at, self.total))
        else:
            # A reset, or a rollover: what it counts from here is new.
            self.was_reset = True
            self._take(at, register)

    @staticmethod
    def _steps_back(before: int, register: int) -> bool:
        """A fall to less than half is a new register; a smaller one is a reading that is too low."""
        return before > register and register * _RESET_SHARE >= before

    def _take(self, at: datetime, register: int) -> None:
        self.readings = max(self.readings, 1)
        self._at, self._highest, self._doubted = at, register, None
        self.curve.append((at, self.total))

    def _follows(self, doubted: tuple[datetime, int], at: datetime, register: int) -> bool:
        rise = register - doubted[1]
        return 0 <= rise <= bound(at - doubted[0], self.max_power_w)


@dataclass(frozen=True, slots=True)
class Edge:
    """A reading at the start or at the end of a session, mWh."""

    at: datetime
    register: int
    sampled: bool = False
    """A sample with a context, of the same register as the others; else meterStart or meterStop."""


@dataclass(frozen=True, slots=True)
class Series:
    """``joined``: the reading at the start is one of the register that the samples show."""

    rises: Rises
    joined: bool


def series(points: Sequence[Point], pairs: Sequence[tuple[Edge, Edge | None]], max_power_w: int) -> Series:
    """The rises of the samples, with the edges that belong to them. Without a sample there is no series."""
    rises, joined = Rises(max_power_w), False
    readings = _samples(points)
    if not readings:
        return Series(rises, joined)
    first_at, first = readings[0]
    counts_from = 0  # what the edges show where the samples show 0
    for begin, end in pairs:
        room = bound(first_at - begin.at, max_power_w)
        if begin.register == 0 and (_is_far(begin, end, max_power_w) or is_placeholder(begin, points)):
            continue
        if begin.register <= first and (begin.sampled or first - begin.register <= room):
            readings.insert(0, (begin.at, begin.register))
            joined = True
        elif first <= room and first < begin.register:
            readings.insert(0, (begin.at, 0))
            counts_from = begin.register  # the samples count from the session's start
        else:
            continue
        break
    last_at, last = readings[-1]
    for begin, end in pairs:
        if end is None or end.register < begin.register:
            continue
        register = end.register - counts_from
        fits = 0 <= register - last <= bound(end.at - last_at, max_power_w)
        if fits or (joined and register < last):  # a fall after the last sample is one too
            readings.append((max(end.at, last_at), register))
            break
    for at, register in readings:
        rises.add(at, register)
    return Series(rises, joined)


def _is_far(begin: Edge, end: Edge | None, max_power_w: int) -> bool:
    """Whether meterStop is further from meterStart than the connector can have delivered."""
    if begin.sampled or end is None:
        return False
    return end.register - begin.register > bound(end.at - begin.at, max_power_w)


def is_placeholder(begin: Edge, points: Sequence[Point]) -> bool:
    """Whether a begin of 0 is no reading: the first sample shows more than the session's power explains."""
    if begin.register != 0:
        return False
    samples = _samples(points)
    powers = [point.power for point in points if point.power is not None]
    if not samples or not powers:
        return False
    at, first = samples[0]
    return first > bound(at - begin.at, max(powers))


def _samples(points: Iterable[Point]) -> list[tuple[datetime, int]]:
    """One reading a time, without those of Begin and End."""
    found: dict[datetime, int] = {}
    for point in points:
        if point.at is None or point.register is None or point.context in (BEGIN, END):
            continue
        if point.register >= 0:
            found.setdefault(point.at, point.register)
    return sorted(found.items())
