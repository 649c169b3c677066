"""Counters and latencies of chargers, in a form that processes can merge."""

import math
from collections import Counter
from dataclasses import dataclass, field, fields
from typing import Any


class Latencies:
    """Answer times in buckets of 2 %: a few hundred integers, independent of the run's length."""

    _STEP = math.log(1.02)

    def __init__(self) -> None:
        self._counts: Counter[int] = Counter()
        self.longest = 0.0

    def add(self, seconds: float) -> None:
        """Count one answer time."""
        self._counts[math.ceil(math.log(max(seconds, 1e-6)) / self._STEP)] += 1
        self.longest = max(self.longest, seconds)

    def dump(self) -> tuple[list[tuple[int, int]], float]:
        """All counts as JSON, for :meth:`merge` in another process."""
        return list(self._counts.items()), self.longest

    def merge(self, dump: tuple[list[tuple[int, int]], float]) -> None:
        """Add the counts of another process."""
        counts, longest = dump
        for bucket, count in counts:
            self._counts[bucket] += count
        self.longest = max(self.longest, longest)

    def percentile(self, share: float) -> float:
        """The time within which ``share`` (0 to 1) of the answers came; NaN if there are none."""
        wanted = share * self._counts.total()
        for bucket in sorted(self._counts):
            wanted -= self._counts[bucket]
            if wanted <= 1e-9:
                return min(math.exp(bucket * self._STEP), self.longest)
        return math.nan

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
    """CALLs without an answer when the storm dropped their connection."""
    late: int = 0
    """Answers without an open CALL."""
    given_up: int = 0
    """Transaction messages dropped after the last attempt."""
    commands: int = 0
    """CALLs from the CSMS."""
    due: int = 0
    """Planned CALLs whose time has come."""
    unanswered: int = 0
    """Planned CALLs still open or queued at the end."""
    start: Latencies = field(default_factory=Latencies)
    """Boot and statuses after a connect: from sending to answer."""
    load: Latencies = field(default_factory=Latencies)
    """Planned CALLs: from the planned time to the answer."""
    storm: Latencies = field(default_factory=Latencies)
    """As ``start``, after the storm."""

    @property
    def errors(self) -> int:
        """CALLs without a valid CALLRESULT."""
        return self.callerror + self.invalid + self.timeout + self.lost + self.unanswered

    def dump(self) -> dict[str, Any]:
        """Everything as JSON, for :meth:`merge` in another process."""
        values = ((f.name, getattr(self, f.name)) for f in fields(self))
        return {name: v.dump() if isinstance(v, Latencies) else v for name, v in values}

    def merge(self, dump: dict[str, Any]) -> None:
        """Add the counts of another process."""
        for name, theirs in dump.items():
            ours = getattr(self, name)
            if isinstance(ours, int):
                setattr(self, name, ours + theirs)
            elif isinstance(ours, Latencies):
                ours.merge(theirs)
            else:
                ours.update(theirs)
