"""Counters and latencies of chargers, in a form that processes can merge.

A CALL that was never answered counts in every percentile at its age when it ended, or when the run ended.
"""

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from typing import Any

Dump = tuple[list[tuple[int, int]], float]


class Latencies:
    """Times in buckets of 2 %: a few hundred integers, independent of the run's length."""

    _STEP = math.log(1.02)

    def __init__(self) -> None:
        self._counts: Counter[int] = Counter()
        self.longest = 0.0

    def add(self, seconds: float) -> None:
        """Count one time."""
        self._counts[math.ceil(math.log(max(seconds, 1e-6)) / self._STEP)] += 1
        self.longest = max(self.longest, seconds)

    def dump(self) -> Dump:
        """All counts as JSON, for :meth:`merge` in another process."""
        return list(self._counts.items()), self.longest

    def merge(self, dump: Dump) -> None:
        """Add the counts of another process."""
        counts, longest = dump
        for bucket, count in counts:
            self._counts[bucket] += count
        self.longest = max(self.longest, longest)

    def since(self, before: "Latencies") -> "Latencies":
        """The times added after ``before``, a copy of an earlier state of this object."""
        left = self._counts - Counter(dict(before.dump()[0]))
        longest = self._upper(max(left, default=-math.inf))
        return Latencies.of([(list(left.items()), min(longest, self.longest))])

    @classmethod
    def of(cls, dumps: Iterable[Dump]) -> "Latencies":
        """The sum of dumps."""
        total = cls()
        for dump in dumps:
            total.merge(dump)
        return total

    def percentile(self, share: float) -> float:
        """The time within which ``share`` (0 to 1) of the CALLs ended; NaN if there are none."""
        wanted = share * self._counts.total()
        for bucket in sorted(self._counts):
            wanted -= self._counts[bucket]
            if wanted <= 1e-9:
                return min(self._upper(bucket), self.longest)
        return math.nan

    def _upper(self, bucket: float) -> float:
        return math.exp(bucket * self._STEP)

    def __len__(self) -> int:
        return self._counts.total()


@dataclass(slots=True)
class Tally:
    """Counters of one charger, or of several that share it.

    ``sent`` = ``answered + callerror + invalid + timeout + lost + interrupted`` + open CALLs.
    """

    connects: int = 0
    disconnects: int = 0
    """Connections that did not end by :meth:`Line.drop <voltgate.charger.line.Line.drop>` or a stop."""
    refused: Counter[str] = field(default_factory=Counter)
    """Upgrades that did not succeed, by reason."""
    boots: Counter[str] = field(default_factory=Counter)
    """BootNotifications without Accepted, by status or error code."""
    sent: int = 0
    """CALLs, resends included."""
    answered: int = 0
    """Valid CALLRESULTs."""
    callerror: int = 0
    invalid: int = 0
    """CALLRESULTs that violate their schema."""
    timeout: int = 0
    lost: int = 0
    """CALLs without an answer when their connection ended."""
    interrupted: int = 0
    """CALLs without an answer when the swarm itself dropped their connection."""
    late: int = 0
    """Answers without an open CALL."""
    given_up: int = 0
    """Transaction messages dropped after the last attempt."""
    commands: int = 0
    """CALLs from the CSMS."""
    due: int = 0
    """Planned CALLs whose time has come."""
    served: int = 0
    """Those that were answered, with a CALLRESULT or a CALLERROR."""
    unanswered: int = 0
    """Planned CALLs still open or queued at the end."""
    silent: int = 0
    """Sockets left half-open."""
    upgrade: Latencies = field(default_factory=Latencies)
    """From dialling to the 101, or to the deadline if nothing came; refused ones are in ``refused``."""
    start: Latencies = field(default_factory=Latencies)
    """Boot and statuses after a connect: from sending to their end."""
    load: Latencies = field(default_factory=Latencies)
    """Planned CALLs: from the planned time to their end."""
    away: Latencies = field(default_factory=Latencies)
    """As ``load``, which they are not in: CALLs of chargers that the swarm itself had disconnected."""
    storm: Latencies = field(default_factory=Latencies)
    """As ``start``, after the storm."""
    back: Latencies = field(default_factory=Latencies)
    """From a disconnect by the swarm itself until the charger has rebooted, or until the end."""
    noticed: Latencies = field(default_factory=Latencies)
    """From when a socket was left half-open until the CSMS closed it."""
    actions: dict[str, Latencies] = field(default_factory=dict)
    """Every CALL by action, from its planned time or from sending."""
    failed: Counter[str] = field(default_factory=Counter)
    """Those of ``actions`` without a valid CALLRESULT."""

    @property
    def errors(self) -> int:
        """CALLs without a valid CALLRESULT."""
        return self.callerror + self.invalid + self.timeout + self.lost + self.unanswered

    @property
    def open(self) -> int:
        """Planned CALLs that have not ended."""
        return self.due - len(self.load) - len(self.away)

    def ended(self, action: str, seconds: float, valid: bool) -> None:
        """One CALL has ended for good, ``seconds`` after it was due."""
        if action not in self.actions:
            self.actions[action] = Latencies()
        self.actions[action].add(seconds)
        self.failed[action] += not valid

    def dump(self) -> dict[str, Any]:
        """Everything as JSON, for :meth:`merge` in another process."""
        return {f.name: _dumped(getattr(self, f.name)) for f in fields(self)}

    def merge(self, dump: dict[str, Any]) -> None:
        """Add the counts of another process."""
        for name, theirs in dump.items():
            ours = getattr(self, name)
            if isinstance(ours, int):
                setattr(self, name, ours + theirs)
            elif isinstance(ours, Latencies):
                ours.merge(theirs)
            elif isinstance(ours, Counter):
                ours.update(theirs)
            else:
                for key, latencies in theirs.items():
                    ours.setdefault(key, Latencies()).merge(latencies)


def _dumped(value: Any) -> Any:
    if isinstance(value, Latencies):
        return value.dump()
    if isinstance(value, dict) and not isinstance(value, Counter):
        return {key: latencies.dump() for key, latencies in value.items()}
    return value
