"""Security facts: refused connections by reason and charger (docs/contract.md 3.2), in a bounded number.

The first refusal is written at once, all that follow of the same reason and charger are summed up once a
minute. Chargers without a record share one subject: an attacker cannot create subjects on the bus.
"""

from dataclasses import dataclass

import orjson

from voltgate import _core
from voltgate.gateway import cloudevents
from voltgate.gateway.cloudevents import time_text
from voltgate.gateway.interfaces import Bus, Clock
from voltgate.gateway.registry.record import Known

MINUTE = 60.0
WATCHED = 1000  # pairs of reason and charger at a time; all others share the subject without a charger
NO_RECORD = "-"


@dataclass(slots=True)
class Refusals:
    """Refusals of one reason and charger since its last fact."""

    identity: str | None
    since: str
    remote: str = ""
    count: int = 0


class Security:
    """Writes ``<prefix>.security.<reason>.<token>``."""

    def __init__(self, bus: Bus, clock: Clock, prefix: str, gateway: str) -> None:
        self._bus, self._clock, self._prefix, self._gateway = bus, clock, prefix, gateway
        self._open: dict[tuple[str, str], Refusals] = {}
        self._facts = 0

    def note(self, reason: str, known: Known | None, peer: str) -> None:
        """One refusal."""
        if known is not None and (reason, known.token) not in self._open and len(self._open) >= WATCHED:
            known = None
        token = known.token if known is not None else NO_RECORD
        refusals = self._open.get((reason, token))
        if refusals is not None:
            refusals.count, refusals.remote = refusals.count + 1, peer
            return
        refusals = Refusals(
            known.identity if known is not None else None, time_text(self._clock.time_ms), peer, 1
        )
        self._open[reason, token] = refusals
        self._write(reason, token, refusals)

    def _write(self, reason: str, token: str, refusals: Refusals) -> None:
        now = time_text(self._clock.time_ms)
        body = {
            "reason": reason,
            "identity": refusals.identity,
            "count": refusals.count,
            "since": refusals.since,
            "at": now,
            "remote": refusals.remote,
            "gateway": self._gateway,
        }
        self._facts += 1
        headers = cloudevents.headers(
            f"{self._gateway}/security-{self._facts}",
            f"chargers/{token}" if refusals.identity is not None else f"gateways/{self._gateway}",
            f"ocpp.security.{reason}",
            now,
            identity=refusals.identity,
        )
        # Fire and forget: the refusal is answered whether or not the fact can be published.
        self._bus.emit(
            _core.publish(f"{self._prefix}.security.{reason}.{token}", "", headers, orjson.dumps(body))
        )
        refusals.count, refusals.since = 0, now
        self._clock.after(MINUTE, self._look_again, reason, token)

    def _look_again(self, reason: str, token: str) -> None:
        refusals = self._open[reason, token]
        if refusals.count:
            self._write(reason, token, refusals)
        else:
            del self._open[reason, token]
