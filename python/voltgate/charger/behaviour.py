"""How a simulated charger behaves, and what it counted. Plain data."""

import math
from collections import Counter
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Behaviour:
    """All times in seconds. The defaults are a patient charger that never starts a transaction itself."""

    connectors: int = 1
    tags: tuple[str, ...] = ("04A2B3C4", "04D5E6F7", "0412ABCD")

    # What the charger takes for a second when the CSMS tells it an interval.
    second: float = 1.0
    boot_retry: float = 60.0
    """Before the next BootNotification where the CSMS named no interval."""
    boot_on_reconnect: bool = False
    """J16 5.4 says no; many do."""
    heartbeat: float | None = None
    """Instead of the interval that the boot answer gave; 0 is never."""

    answer_timeout: float = 30.0
    attempts: int = 3
    """TransactionMessageAttempts (1.6), MessageAttempts[TransactionEvent] (2.x)."""
    retry_interval: float = 60.0
    """TransactionMessageRetryInterval (1.6), MessageAttemptInterval[TransactionEvent] (2.x)."""
    reuse_ids: bool = False
    """A resend keeps its message id (MicroOcpp) or gets a new one (EVerest); OCPP.md C."""

    # OCPP.md A19
    back_off_minimum: float = 10.0
    back_off_random: float = 10.0
    back_off_repeats: int = 5

    # A vehicle comes after `idle`, stays for `charging`; None: only the test or the CSMS starts one.
    idle: tuple[float, float] | None = None
    charging: tuple[float, float] = (600.0, 3600.0)
    meter_interval: float = 60.0

    open_timeout: float = 10.0
    ping_interval: float | None = None
    ping_timeout: float = 20.0
    compression: str | None = None
    """``"deflate"`` offers RFC 7692."""


class Latencies:
    """Answer times, counted in buckets 2 % apart: a few hundred integers however long a swarm runs."""

    _STEP = math.log(1.02)

    def __init__(self) -> None:
        self._counts: Counter[int] = Counter()
        self.longest = 0.0

    def add(self, seconds: float) -> None:
        """One answer time."""
        self._counts[math.ceil(math.log(max(seconds, 1e-6)) / self._STEP)] += 1
        self.longest = max(self.longest, seconds)

    def told(self) -> tuple[list[tuple[int, int]], float]:
        """Everything counted, as JSON can carry it to :meth:`merge` in another process."""
        return list(self._counts.items()), self.longest

    def merge(self, told: tuple[list[tuple[int, int]], float]) -> None:
        """Count what another one counted too."""
        counts, longest = told
        for bucket, count in counts:
            self._counts[bucket] += count
        self.longest = max(self.longest, longest)

    def percentile(self, share: float) -> float:
        """The time within which ``share`` (0 to 1) of the answers came; NaN when there is none."""
        wanted = share * self._counts.total()
        for bucket in sorted(self._counts):
            wanted -= self._counts[bucket]
            if wanted <= 1e-9:
                return min(math.exp(bucket * self._STEP), self.longest)
        return math.nan

    def __len__(self) -> int:
        return self._counts.total()


@dataclass(slots=True)
class Stats:
    """What one charger, or a whole swarm that shares the object, has seen.

    ``sent`` = ``answered`` + ``errors`` + ``invalid`` + ``timeouts`` + ``lost`` + those that are open.
    """

    connects: int = 0
    refused: int = 0
    """Upgrades that did not succeed."""
    disconnects: int = 0
    sent: int = 0
    """CALLs, resends included."""
    answered: int = 0
    """Valid CALLRESULTs."""
    errors: int = 0
    """CALLERRORs."""
    timeouts: int = 0
    lost: int = 0
    """CALLs whose connection went away before the answer."""
    invalid: int = 0
    """CALLRESULTs that violate their schema: as good as a CALLERROR."""
    late: int = 0
    """Answers to no open CALL."""
    dropped: int = 0
    """Transaction messages given up after the last attempt."""
    commands: int = 0
    """CALLs from the CSMS."""
    latencies: Latencies = field(default_factory=Latencies)
