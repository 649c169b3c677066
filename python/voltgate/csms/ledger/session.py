"""What a session is, derived from its facts alone, in whatever order they came.

      first fact                      end                   settle_after
    ------------> OPEN -------------------------> ENDED ------------------> SETTLED
                   |                                |                          |
                   | next start, available, silent  | something is missing     | a late stop, a correction:
                   v                                v                          | credit and a new revision
               PRESUMED --------settle_after---> REVIEW --a person decides--> SETTLED

An end that arrives for a presumed session takes the place of the presumption.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from voltgate.csms.ledger import clock, energy, idle
from voltgate.csms.ledger.energy import Energy, Method, Readings
from voltgate.csms.ledger.flags import Flag
from voltgate.csms.ledger.idle import Course, Doing, Stretch
from voltgate.csms.ledger.samples import Point
from voltgate.csms.ledger.told import Mark, Told

_AFTER_END = timedelta(seconds=5)  # readings this late may still belong to the session


class State(StrEnum):
    """See the drawing at the top."""

    OPEN = "open"
    ENDED = "ended"
    SETTLED = "settled"
    PRESUMED = "presumed"
    REVIEW = "review"


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What is known about a session beside its facts.

    ``presumed``: until when it lasted at most, where it counts as ended without a report. ``statuses``: of
    its connector, by time of receipt. ``offsets``: of the charger's clock on its connections.
    """

    now: datetime
    max_power_w: int
    idle_power_w: int
    presumed: datetime | None = None
    statuses: Sequence[tuple[datetime, str]] = ()
    offsets: Sequence[timedelta] = ()
    corrected_mwh: int | None = None


@dataclass(frozen=True, slots=True)
class Derived:
    """A session in numbers. ``used``: what each fact was used for, by (stream, seq)."""

    evse: int
    connector: int
    tx: str
    token: str
    started: datetime | None
    ended: datetime | None
    plug_out: datetime | None
    reason: str
    energy: Energy
    first_energy: datetime | None
    peak_w: int | None
    power_w: int | None
    soc_from: int | None
    soc_to: int | None
    charging: timedelta
    idle: timedelta
    stretches: tuple[Stretch, ...]
    flags: frozenset[Flag]
    points: tuple[Point, ...]
    used: dict[tuple[str, int], str]
    missing: bool
    """Whether a person must look before it is settled."""


def derived(said: Iterable[Told], around: Surroundings) -> Derived:
    """The session that these facts tell of. At least one of them is needed."""
    return _Derivation(sorted(said, key=lambda one: (one.received, one.stream, one.seq)), around).result()


class _Derivation:
    """One derivation: facts by receipt, and what is found out about them."""

    def __init__(self, facts: list[Told], around: Surroundings) -> None:
        self.around = around
        self.flags: set[Flag] = set()
        self.used: dict[tuple[str, int], str] = {}
        self.facts = self._without_conflicts(facts)
        shift = clock.offset(self._times(), around.offsets)
        if shift:
            self.flags.add(Flag.CLOCK_CORRECTED)
            self.facts = [_shifted(one, shift) for one in self.facts]
        self.begin = next((one for one in self.facts if one.mark is Mark.BEGIN), None)
        self.ends = [one for one in self.facts if one.mark is Mark.END]
        self.end = self.ends[0] if self.ends else None
        self.started = self._started()
        points = self._all_points()
        self.ended = self._ended(points)
        self.points = self._inside(points)
        self.until = self.ended or max(
            [*(point.at for point in self.points if point.at), *([self.started] if self.started else [])],
            default=around.now,
        )
        self._judge()

    def result(self) -> Derived:
        """Everything in numbers."""
        found = self._energy()
        self.flags |= found.flags
        if self.ended is not None and found.method is Method.NONE:
            self.flags.add(Flag.NO_ENERGY)
        plug_out = self._plug_out()
        parts = self._stretches(found, plug_out)
        for one in self.facts:
            self.used.setdefault((one.stream, one.seq), _use(one))
        placed = [one for one in self.facts if one.evse is not None]
        socs = [point.soc for point in self.points if point.soc is not None]
        powers = [point.power for point in self.points if point.power is not None]
        unclear = (
            any(flag.review for flag in self.flags) or {Flag.NO_ENERGY, Flag.BEYOND_PHYSICS} <= self.flags
        )
        return Derived(
            evse=(placed[0].evse or 0) if placed else 0,
            connector=next((one.connector for one in placed if one.connector is not None), 1),
            tx=next((one.tx for one in self.facts if one.tx), ""),
            token=next((one.token for one in self.facts if one.token and one.mark is not Mark.END), ""),
            started=self.started,
            ended=self.ended,
            plug_out=plug_out,
            reason=self.end.reason if self.end is not None else "",
            energy=found,
            first_energy=next((one.begins for one in parts if one.mwh), None),
            peak_w=max(powers, default=None),
            power_w=powers[-1] if powers else None,
            soc_from=socs[0] if socs else None,
            soc_to=socs[-1] if socs else None,
            charging=_sum(one for one in parts if one.doing is Doing.CHARGING),
            idle=_sum(one for one in parts if one.doing is Doing.IDLE and one.billable_idle),
            stretches=parts,
            flags=frozenset(self.flags),
            points=self.points,
            used=self.used,
            missing=unclear and self.around.corrected_mwh is None,
        )

    def _without_conflicts(self, facts: Iterable[Told]) -> list[Told]:
        """Of several events with one number the first counts."""
        seen: set[tuple[Mark, str]] = set()
        kept = []
        for one in facts:
            numbered = (one.mark, one.key)
            if one.seq_no is not None and numbered in seen:
                self.flags.add(Flag.KEY_CONFLICT)
                self.used[one.stream, one.seq] = "ignored: another message has this number"
                continue
            seen.add(numbered)
            kept.append(one)
        return kept

    def _times(self) -> list[tuple[datetime, datetime]]:
        """(receipt, charger's time) of every message that has a time."""
        times = []
        for one in self.facts:
            at = one.at or max((point.at for point in one.points if point.at is not None), default=None)
            if at is not None:
                times.append((one.received, at))
        return times

    def _started(self) -> datetime | None:
        if self.begin is not None:
            return _time(self.begin)
        self.flags.add(Flag.START_UNKNOWN)
        return None

    def _all_points(self) -> list[tuple[Point, Told]]:
        points = [
            (point._replace(at=min(point.at or _time(one), one.received)), one)
            for one in self.facts
            if one is self.end or one.mark is not Mark.END
            for point in one.points
        ]
        return sorted(points, key=lambda pair: (pair[0].at or pair[1].received, pair[1].received))

    def _ended(self, points: Iterable[tuple[Point, Told]]) -> datetime | None:
        if self.end is not None:
            ended = _time(self.end)
            return max(ended, self.started) if self.started is not None else ended
        presumed = self.around.presumed
        if presumed is None:
            return None
        self.flags.add(Flag.END_PRESUMED)
        signs = [point.at for point, _ in points if point.at is not None and point.at <= presumed]
        return max([*signs, *([self.started] if self.started else [])], default=presumed)

    def _inside(self, points: Iterable[tuple[Point, Told]]) -> tuple[Point, ...]:
        """The points of the session, within its times; those after its end are not of it."""
        until = self.ended or self.around.now
        first = self.started
        kept = []
        for point, one in points:
            at = point.at or one.received
            if one is not self.end and at > until + _AFTER_END:
                self.flags.add(Flag.AFTER_STOP)
                self.used[one.stream, one.seq] = "ignored: after the end"
            else:
                kept.append(point._replace(at=min(max(at, first) if first else at, until)))
        return tuple(kept)

    def _judge(self) -> None:
        """Flags that follow from the facts alone."""
        end = self.end
        if end is not None and any((one.at, one.meter) != (end.at, end.meter) for one in self.ends):
            self.flags.add(Flag.SEVERAL_STOPS)
        # Readings need not name one: those of 2.x never do, nor do those of the clock.
        if any(one.bad_tx or (one.mark is Mark.END and not one.tx) for one in self.facts):
            self.flags.add(Flag.TRANSACTION_UNKNOWN)
        if any(one.mark is Mark.ANSWER and one.status not in ("", "Accepted") for one in self.facts):
            self.flags.add(Flag.START_REFUSED)
        if self._has_gap():
            self.flags.add(Flag.SEQUENCE_GAP)

    def _has_gap(self) -> bool:
        """2.x: whether a number of a whole session is missing. The count may begin again with the charger."""
        numbered = sorted((_time(one), one.seq_no) for one in self.facts if one.seq_no is not None)
        if self.begin is None or self.end is None or not numbered:
            return False
        runs: list[set[int]] = [set()]
        for _, number in numbered:
            if number == 0 and runs[-1]:
                runs.append(set())
            runs[-1].add(number)
        return any(len(run) != max(run) - min(run) + 1 for run in runs)

    def _energy(self) -> Energy:
        found = energy.proven(
            Readings(
                self.started or self.until,
                self.until,
                self.begin.meter if self.begin is not None else None,
                self.end.meter if self.end is not None else None,
                self.points,
                self.around.max_power_w,
                stopped=self.end is not None,
            )
        )
        corrected = self.around.corrected_mwh
        if corrected is None:
            return found
        self.flags.add(Flag.CORRECTED)
        curve = tuple((at, value * corrected // max(found.mwh, 1)) for at, value in found.curve)
        if found.mwh == 0:
            curve = ((curve[0][0], 0), (curve[-1][0], corrected))
        return replace(found, mwh=corrected, method=Method.CORRECTION, curve=curve)

    def _plug_out(self) -> datetime | None:
        ended = self.ended
        if ended is None or self.started is None or self.end is None:
            return None
        return next((at for at, word in self.around.statuses if at >= ended and word == "Available"), None)

    def _stretches(self, found: Energy, plug_out: datetime | None) -> tuple[Stretch, ...]:
        if self.started is None:
            return ()
        said = [(_time(one), one.charging) for one in self.facts if one.charging]
        if not said:
            said = [(at, word) for at, word in self.around.statuses if at <= self.until]
        watts = self.around.idle_power_w
        return idle.stretches(
            Course(self.started, self.until, plug_out, found.curve, self.points, sorted(said), watts)
        )


def _shifted(one: Told, shift: timedelta) -> Told:
    points = tuple(point._replace(at=point.at + shift if point.at else None) for point in one.points)
    return one._replace(at=one.at + shift if one.at else None, points=points)


def _time(one: Told) -> datetime:
    """When a message was made; never later than it was received."""
    return min(one.at or one.received, one.received)


def _sum(stretches: Iterable[Stretch]) -> timedelta:
    return sum((one.ends - one.begins for one in stretches), timedelta())


def _use(one: Told) -> str:
    match one.mark:
        case Mark.BEGIN:
            return "start"
        case Mark.ANSWER:
            return "transaction id"
        case Mark.END:
            return "end"
        case Mark.UPDATE | Mark.VALUES:
            return "readings" if one.points else "state"
