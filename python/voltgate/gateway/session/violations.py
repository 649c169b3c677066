"""What chargers and backends get wrong, counted so that somebody can mend it (docs/contract.md 2.2, 3.4).

``Violations`` publishes those of each charger once a minute, ``ReplyFaults`` logs those of backends' replies,
and ``model`` reads what a charger says it is. No payload is judged here.
"""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import orjson
import structlog

from voltgate import _core
from voltgate._core import Publisher, Violation
from voltgate.gateway import cloudevents
from voltgate.gateway.interfaces import Outside
from voltgate.gateway.session.call import GatewayViolation

log = structlog.get_logger()

MINUTE = 60.0
CHARGERS = 10_000  # at a time; those of all others are counted in the metric only
KINDS = 32  # of one charger in a minute; all others are summed up without a pointer
_TEXT = 100  # characters of a vendor, a model or a firmware

Kind = tuple[str, str, str]  # action, code, pointer


@dataclass(slots=True)
class _Noted:
    """The violations of one charger since its last fact."""

    publisher: Publisher
    outside: Outside
    subject: str
    version: str
    since: str
    counts: Counter[Kind] = field(default_factory=Counter)


class Violations:
    """Publishes ``<prefix>.violation.<token>``; the first fact follows the first violation by a minute."""

    def __init__(self) -> None:
        self._open: dict[str, _Noted] = {}
        self._facts = 0

    def note(  # noqa: PLR0913, PLR0917 - one violation, and who it is about
        self,
        publisher: Publisher,
        outside: Outside,
        prefix: str,
        version: str,
        action: str,
        violation: Violation | GatewayViolation,
    ) -> None:
        """One violation of a charger, refused or passed on."""
        token = publisher.token
        noted = self._open.get(token)
        if noted is None:
            if len(self._open) >= CHARGERS:
                return
            since = cloudevents.time_text(outside.clock.time_ms)
            noted = _Noted(publisher, outside, f"{prefix}.violation.{token}", version, since)
            self._open[token] = noted
            outside.clock.after(MINUTE, self._due, token)
        kind = (action, violation.code, violation.pointer)
        if kind not in noted.counts and len(noted.counts) >= KINDS:
            kind = (action, violation.code, "")
        noted.counts[kind] += 1

    def flush(self) -> None:
        """Publish what is noted: the process stops."""
        for token in list(self._open):
            self._due(token)

    def _due(self, token: str) -> None:
        noted = self._open.pop(token, None)
        if noted is None:
            return
        publisher, now = noted.publisher, cloudevents.time_text(noted.outside.clock.time_ms)
        identity = _core.identity(token)
        body = {
            "identity": identity,
            "version": noted.version,
            "since": noted.since,
            "at": now,
            "violations": [
                {"action": action, "code": code, "pointer": pointer, "count": count}
                for (action, code, pointer), count in noted.counts.items()
            ],
        }
        self._facts += 1
        headers = cloudevents.headers(
            f"{_core.identity(publisher.session)}/violation-{self._facts}",
            f"chargers/{token}",
            "ocpp.violation",
            now,
            identity=identity,
        )
        noted.outside.bus.emit(_core.publish(noted.subject, "", headers, orjson.dumps(body)))


class ReplyFaults:
    """Logs unusable replies of backends, at most one a minute for each action."""

    def __init__(self) -> None:
        self._open: dict[str, tuple[float, int]] = {}  # action: next line, unlogged so far

    def note(self, action: str, pointer: str, reason: str, now: float) -> None:
        """One reply that could not be used."""
        due, unlogged = self._open.get(action, (0.0, 0))
        if now < due:
            self._open[action] = (due, unlogged + 1)
            return
        self._open[action] = (now + MINUTE, 0)
        log.warning("reply.refused", action=action, pointer=pointer, reason=reason, unlogged=unlogged)


def model(payload: bytes) -> dict[str, str] | None:
    """Vendor, model, firmware of a BootNotification, "" for what it does not say; None if it says nothing.

    The payload is an object, and may lack anything.
    """
    boot: Any = orjson.loads(payload)
    station = boot.get("chargingStation", boot)
    if not isinstance(station, dict):
        return None
    found = {
        "vendor": _text(station.get("vendorName", station.get("chargePointVendor"))),
        "model": _text(station.get("model", station.get("chargePointModel"))),
        "firmware": _text(station.get("firmwareVersion")),
    }
    return found if any(found.values()) else None


def _text(value: Any) -> str:
    return value[:_TEXT] if isinstance(value, str) else ""
