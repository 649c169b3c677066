"""The NATS service API (ADR-32): what a process answers on ``$SRV``, so that ``nats micro ls`` shows it.

Bytes for subjects; who subscribes and counts is in ``gateway/bus/services`` and ``backend/services``.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson

ROOT = "$SRV"
VERBS = ("PING", "INFO", "STATS")

# Answers per second, and at once, of one process: a client that floods $SRV costs no more than these.
RATE, BURST = 20, 100


@dataclass(frozen=True, slots=True)
class Counts:
    """Requests of an endpoint so far: all, those that failed, and the seconds that they took."""

    requests: int = 0
    errors: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where requests are answered. ``counts`` is called for STATS only."""

    name: str
    subject: str
    queue_group: str
    counts: Callable[[], Counts] = Counts
    metadata: tuple[tuple[str, str], ...] = ()

    def info(self) -> dict[str, Any]:
        """Its object in INFO."""
        return {
            "name": self.name,
            "subject": self.subject,
            "queue_group": self.queue_group,
            "metadata": dict(self.metadata),
        }

    def stats(self) -> dict[str, Any]:
        """Its object in STATS: times are nanoseconds."""
        counts = self.counts()
        total = round(counts.seconds * 1e9)
        return {
            "name": self.name,
            "subject": self.subject,
            "queue_group": self.queue_group,
            "num_requests": counts.requests,
            "num_errors": counts.errors,
            "last_error": "",
            "processing_time": total,
            "average_processing_time": total // counts.requests if counts.requests else 0,
            "data": None,  # nats-py reads it without asking whether it is there
        }


def permitted(name: str) -> list[str]:
    """What the NATS user of a service of this name may subscribe to."""
    return [f"{ROOT}.*", f"{ROOT}.*.{name}", f"{ROOT}.*.{name}.*"]


class Service:
    """One instance: a process. ``id`` is one token of a subject, unique per start."""

    def __init__(self, name: str, id: str, version: str, description: str, endpoints: list[Endpoint]) -> None:
        self._identity: dict[str, Any] = {"name": name, "id": id, "version": version, "metadata": {}}
        self._description, self._endpoints = description, endpoints
        self._left, self._at = float(BURST), 0.0
        self._started = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")

    def subjects(self) -> list[str]:
        """All that it answers on, each instance for itself: without a queue group."""
        name, id_ = self._identity["name"], self._identity["id"]
        return [f"{ROOT}.{verb}{whom}" for verb in VERBS for whom in ("", f".{name}", f".{name}.{id_}")]

    def answer(self, subject: str, now: float) -> bytes | None:
        """The response to a request on one of :meth:`subjects`; None beyond :data:`RATE`.

        ``now``: monotonic seconds.
        """
        self._left = min(self._left + (now - self._at) * RATE, BURST)
        self._at = now
        if self._left < 1:
            return None
        self._left -= 1
        verb = subject.split(".")[1]
        body: dict[str, Any] = {"type": f"io.nats.micro.v1.{verb.lower()}_response"} | self._identity
        if verb == "INFO":
            body |= {
                "description": self._description,
                "endpoints": [endpoint.info() for endpoint in self._endpoints],
            }
        elif verb == "STATS":
            body |= {
                "started": self._started,
                "endpoints": [endpoint.stats() for endpoint in self._endpoints],
            }
        return orjson.dumps(body)
