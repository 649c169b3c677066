"""Rate limits of one charger and of the process. Numbers in, numbers out: time and limits are arguments.

What is "per charger" outlives a reconnect (docs/contract.md 2.2): :class:`Budgets` remembers it by identity
where credentials were checked, else by source and identity, so that nobody spends another's budget.
"""

import math
from collections import deque
from collections.abc import Callable
from ipaddress import IPv6Address
from itertools import islice
from typing import TypeVar

from voltgate._core import Budget
from voltgate.config import Limits
from voltgate.gateway.telemetry.families import Cell


class RejectRate:
    """At most so many in any minute; all others are only counted (docs/contract.md 3.2)."""

    __slots__ = ("_times",)

    def __init__(self) -> None:
        self._times: deque[float] = deque()

    def take(self, now: float, limit: int) -> bool:
        """Whether one more may be stored at ``now``; ``limit``: ``limits.rejects_per_minute`` now."""
        while self._times and now - self._times[0] >= 60:
            self._times.popleft()
        if len(self._times) >= limit:
            return False
        self._times.append(now)
        return True

    def any(self, now: float) -> bool:
        """Whether there was one in the last minute."""
        return bool(self._times) and now - self._times[-1] < 60


class Bucket:
    """A token bucket, full at first; its rate and its burst are those of each call."""

    __slots__ = ("_at", "_tokens")

    def __init__(self) -> None:
        self._tokens, self._at = math.inf, 0.0

    def take(self, now: float, per_second: float, burst: float) -> bool:
        """Whether there is a token at ``now``, which is gone then."""
        self._tokens, self._at = self._filled(now, per_second, burst), now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True

    def is_full(self, now: float, per_second: float, burst: float) -> bool:
        """Whether it is like a new one."""
        return self._filled(now, per_second, burst) >= burst

    def _filled(self, now: float, per_second: float, burst: float) -> float:
        return min(self._tokens + (now - self._at) * per_second, burst)


# Failed logins in a row without a delay: a person who types a password, a charger with two of them.
FREE_LOGINS = 10
FORGOTTEN = 600.0  # seconds after which failed logins no longer count


class Allowance(Budget):
    """What one charger has used, on all its connections, and has not regained yet.

    ``calls`` as of ``calls_at`` and ``stored`` bytes as of ``stored_at``: each falls by its rate per second,
    and the charger is not read while it is above its burst. It may be overdrawn by one message, so that a
    single large one never times out.
    """

    __slots__ = ("failed", "failed_at", "logins", "rejects", "users")

    def __init__(self) -> None:
        self.logins = 0.0  # until when the failed ones so far would have lasted at the rate
        self.failed, self.failed_at = 0, 0.0  # logins that failed in a row, and when the last one was tried
        self.rejects: RejectRate | None = None  # made with the first one
        self.users = 0  # connections

    def wait(self, now: float, limits: Limits) -> tuple[float, float]:
        """Seconds until the calls, and until the stored bytes, are no longer overdrawn; 0 or less: now."""
        calls, stored = limits.calls_per_second, limits.stored_bytes_per_second
        return (
            (self.calls - limits.calls_burst) / calls + self.calls_at - now,
            (self.stored - limits.stored_bytes_burst) / stored + self.stored_at - now,
        )

    def reject(self, now: float, limit: int) -> bool:
        """Whether one more reject fact may be stored."""
        if self.rejects is None:
            self.rejects = RejectRate()
        return self.rejects.take(now, limit)

    def login(self, now: float, limits: Limits) -> bool:
        """Whether one more login may be tried; a minute's worth may be tried at once.

        Behind ``FREE_LOGINS`` that failed in a row each waits for twice as long as the one before it, from a
        second to ``limits.login_delay``.
        """
        if now - self.failed_at > FORGOTTEN:
            self.failed = 0
        delay = min(2.0 ** min(self.failed - FREE_LOGINS, 30), limits.login_delay)
        if self.failed >= FREE_LOGINS and now - self.failed_at < delay:
            return False
        logins = max(self.logins, now) + 60 / limits.logins_per_minute
        if logins - now > 60:
            return False
        self.logins, self.failed, self.failed_at = logins, self.failed + 1, now
        return True

    def logged_in(self, limits: Limits) -> None:
        """The login passed: only those that fail count."""
        self.logins -= 60 / limits.logins_per_minute
        self.failed = 0

    def idle(self, now: float, limits: Limits) -> bool:
        """Whether it is like a new one."""
        calls_until = self.calls_at + self.calls / limits.calls_per_second
        stored_until = self.stored_at + self.stored / limits.stored_bytes_per_second
        failed_until = self.failed_at + FORGOTTEN if self.failed >= FREE_LOGINS else 0.0
        spent = max(calls_until, stored_until, self.logins, failed_until) > now
        return not (spent or self.users or (self.rejects is not None and self.rejects.any(now)))


def source_of(peer: str) -> str:
    """The address of ``peer`` (host:port), as far as one site has it: of an IPv6 address the first half."""
    host = peer.rpartition(":")[0]
    if ":" not in host:
        return host
    address = IPv6Address(host.partition("%")[0])
    return str(address.ipv4_mapped or address.exploded[:19])


K = TypeVar("K")
V = TypeVar("V")
Key = str | tuple[str, str]
LOOK = 16  # entries that a newcomer to a full table looks at, to drop one


class Budgets:
    """The allowances of the chargers of one process.

    At most ``limits.remembered_chargers`` with credentials, and as many without, so that strangers take no
    place of the others. Beyond it, newcomers share one allowance per source, and beyond as many sources one
    for all. An allowance in use, or with a part of it spent, is not dropped.
    """

    def __init__(self, shared: Cell) -> None:
        """``shared``: the count of connections whose allowance is not their own."""
        self._shared = shared
        self._identities: dict[Key, Allowance] = {}
        self._strangers: dict[Key, Allowance] = {}
        self._sources: dict[Key, Allowance] = {}
        self._rest = Allowance()

    def __len__(self) -> int:
        return len(self._identities) + len(self._strangers)

    def of(self, identity: str, source: str | None, now: float, limits: Limits) -> Allowance:
        """The allowance of a charger that connects; ``source``: None where its credentials were checked."""

        def among(table: dict[Key, Allowance], key: Key) -> Allowance | None:
            return entry(table, key, limits.remembered_chargers, lambda one: one.idle(now, limits), Allowance)

        if source is None:
            found = among(self._identities, identity)
        else:
            found = among(self._strangers, (source, identity))
        if found is not None:
            return found
        self._shared[0] += 1
        return among(self._sources, source or "") or self._rest


def entry(
    table: dict[K, V], key: K, most: int, is_new: Callable[[V], bool], make: Callable[[], V]
) -> V | None:
    """The entry of ``key``, a new one if there is room among ``most``, else None.

    A newcomer to a full table drops those of ``LOOK`` entries that are like new ones.
    """
    found = table.get(key)
    if found is not None:
        return found
    if len(table) >= most:
        for old in list(islice(table, LOOK)):
            value = table.pop(old)
            if not is_new(value):
                table[old] = value  # at the end: the next newcomer looks at others
    if len(table) >= most:
        return None
    made = table[key] = make()
    return made
