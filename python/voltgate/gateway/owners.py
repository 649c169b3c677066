"""One live connection per identity in this process, and who wins when a second one comes (CONTRACT 3.6)."""

from collections import deque
from collections.abc import Callable

from voltgate.gateway.connection import Connection
from voltgate.gateway.reasons import Reason, Refusal
from voltgate.gateway.wheel import Wheel

PROBE = 2.0  # seconds an old connection has to show a sign of life
TAKEOVERS_A_MINUTE = 5
FLAPPING = 60.0  # seconds an identity that changes hands too often is refused

# Why the identity stays taken; or None, and the session that was thrown out for it, if there was one.
Decided = Callable[[Refusal | None, str | None], None]


class Owners:
    """Identity -> its connection.

    An authenticated newcomer wins at once. Without authentication it must wait while the old connection is
    probed: nobody may throw a live charger out by knowing its name.
    """

    def __init__(self, clock: Wheel) -> None:
        self._clock = clock
        self._held: dict[str, tuple[Connection, str]] = {}
        self._takeovers: dict[str, deque[float]] = {}
        self._refused_until: dict[str, float] = {}

    def claim(self, identity: str, newcomer: Connection, authenticated: bool, decided: Decided) -> None:
        """Call ``decided`` once nobody else holds ``identity``, or it is clear that somebody alive does."""
        if self._refused_until and self._refused_until.get(identity, 0.0) > self._clock.now:
            decided(Refusal.FLAPPING, None)
            return
        held = self._held.get(identity)
        if held is None:
            decided(None, None)
            return
        old, session = held
        if authenticated:
            self._take_over(identity, old, session, decided)
            return
        verdict: list[bool] = []

        def heard() -> None:
            if not verdict:
                verdict.append(True)
                decided(Refusal.IDENTITY_IN_USE, None)

        def silent() -> None:
            if not verdict and not newcomer.gone:
                verdict.append(False)
                if self._held.get(identity) is not held:
                    self.claim(
                        identity, newcomer, False, decided
                    )  # somebody else won meanwhile, or it has left
                else:
                    self._take_over(identity, old, session, decided)

        self._clock.after(PROBE, silent)
        old.probe(heard)

    def _take_over(self, identity: str, old: Connection, session: str, decided: Decided) -> None:
        if self._flaps(identity):
            decided(Refusal.FLAPPING, None)
        else:
            old.close(Reason.SUPERSEDED)
            decided(None, session)

    def holder(self, identity: str) -> Connection | None:
        """The connection of ``identity``, if there is one."""
        held = self._held.get(identity)
        return held[0] if held is not None else None

    def hold(self, identity: str, connection: Connection, session: str) -> None:
        """``connection`` is the one of ``identity`` from now on."""
        self._held[identity] = connection, session

    def release(self, identity: str, connection: Connection) -> None:
        """``connection`` ended; its successor, if there is one, stays."""
        held = self._held.get(identity)
        if held is not None and held[0] is connection:
            del self._held[identity]

    def _flaps(self, identity: str) -> bool:
        now = self._clock.now
        times = self._takeovers.setdefault(identity, deque())
        times.append(now)
        while now - times[0] > 60:
            times.popleft()
        if len(times) <= TAKEOVERS_A_MINUTE:
            self._clock.after(60.1, self._forget, identity)
            return False
        self._refused_until[identity] = now + FLAPPING
        self._clock.after(FLAPPING + 0.1, self._forget, identity)
        return True

    def _forget(self, identity: str) -> None:
        """Memory ends with the minute it is about."""
        now = self._clock.now
        if self._refused_until.get(identity, 0.0) <= now:
            self._refused_until.pop(identity, None)
        times = self._takeovers.get(identity)
        if times is not None and now - times[-1] >= 60:
            del self._takeovers[identity]
