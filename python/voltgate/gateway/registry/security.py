"""Security facts: who was refused for what (CONTRACT 3.2), in a number no flood can raise.

One at once, and one a minute for all that follow of the same reason and charger. Who has no record shares one
subject, so a stranger can invent no names on the bus.
"""

from dataclasses import dataclass
from datetime import UTC, datetime

import orjson

from voltgate import _core
from voltgate.gateway.interfaces import Bus, Clock
from voltgate.gateway.registry.record import Known

MINUTE = 60.0
WATCHED = 1000  # chargers and reasons at a time; the others are counted together
NOBODY = "-"


@dataclass(slots=True)
class Spate:
    """What one reason and charger came to since the last fact."""

    identity: str | None
    since: str
    remote: str = ""
    count: int = 0


class Security:
    """Writes ``<prefix>.security.<reason>.<token>``."""

    def __init__(self, bus: Bus, clock: Clock, prefix: str, gateway: str) -> None:
        self._bus, self._clock, self._prefix, self._gateway = bus, clock, prefix, gateway
        self._spates: dict[tuple[str, str], Spate] = {}
        self._facts = 0

    def note(self, reason: str, known: Known | None, peer: str) -> None:
        """One refusal."""
        if known is not None and (reason, known.token) not in self._spates and len(self._spates) >= WATCHED:
            known = None
        token = known.token if known is not None else NOBODY
        spate = self._spates.get((reason, token))
        if spate is not None:
            spate.count, spate.remote = spate.count + 1, peer
            return
        spate = Spate(known.identity if known is not None else None, _now(), peer, 1)
        self._spates[reason, token] = spate
        self._tell(reason, token, spate)

    def _tell(self, reason: str, token: str, spate: Spate) -> None:
        now = _now()
        body = {
            "reason": reason,
            "identity": spate.identity,
            "count": spate.count,
            "since": spate.since,
            "at": now,
            "remote": spate.remote,
            "gateway": self._gateway,
        }
        self._facts += 1
        headers = [
            ("ce-specversion", "1.0"),
            ("ce-id", f"{self._gateway}/security-{self._facts}"),
            (
                "ce-source",
                f"/chargers/{token}" if spate.identity is not None else f"/gateways/{self._gateway}",
            ),
            ("ce-type", f"ocpp.security.{reason}"),
            ("ce-time", now),
            ("ce-datacontenttype", "application/json"),
        ]
        if spate.identity is not None:
            headers.append(("ce-subject", spate.identity))
        # Nobody waits for it: a refusal is answered whether it can be told or not.
        self._bus.emit(
            _core.publish(f"{self._prefix}.security.{reason}.{token}", "", headers, orjson.dumps(body))
        )
        spate.count, spate.since = 0, now
        self._clock.after(MINUTE, self._look_again, reason, token)

    def _look_again(self, reason: str, token: str) -> None:
        spate = self._spates[reason, token]
        if spate.count:
            self._tell(reason, token, spate)
        else:
            del self._spates[reason, token]


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
