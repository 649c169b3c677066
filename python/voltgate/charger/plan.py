"""What one process of a swarm is told to do, and what it reports. Values only; ``swarm`` carries them out."""

import ssl
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

# Kinds of planned CALLs with their shares. `transaction` starts or ends one, `meter` is a meter value of one.
MIX = {"meter": 80, "transaction": 8, "heartbeat": 6, "status": 6, "authorize": 0, "data": 0}


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The work of one process."""

    url: str
    """The identity is appended to it."""
    chargers: list[tuple[str, str, str | None, str]]
    """Identity, version token, password, source address (empty: chosen by the system)."""
    rate: float = 0.0
    """CALLs per second of all chargers of this process, unless there is a profile."""
    connect_rate: float
    storm_spread: float
    mix: dict[str, int] = field(default_factory=lambda: dict(MIX))
    profile: list[tuple[float, float]] = field(default_factory=list)
    """(Seconds of load, CALLs per second), in order of time; linear between two points."""
    replay: str = ""
    """A file of frames, which replaces the planned CALLs (``replay``)."""
    speed: float = 1.0
    """Divides the times of ``replay``."""
    faults: tuple[str, ...] = ()
    """Of all chargers (``faults``)."""
    reconnect_rate: float = 0.0
    """Chargers per second that lose their connection and redial."""
    ca: str = ""
    """CA file for ``wss``; empty: those of the system."""
    certificate: str = ""
    """Client certificate; ``{identity}`` stands for the charger's identity."""
    key: str = ""


@dataclass(slots=True, kw_only=True)
class Report:
    """Progress. Times are those of the machine's monotonic clock."""

    orders: int = 0
    """Orders of the parent that were carried out."""
    joined: int = 0
    """Chargers that are connected with all messages of the connect answered."""
    gave_up: int = 0
    behind: float = 0.0
    """Maximum delay of the plan itself, in seconds: this process had too little CPU time."""
    began_at: float = 0.0
    """When the first charger dialled."""
    joined_at: float = 0.0
    """When the latest charger joined."""
    answered_at: float = 0.0
    """When the latest planned CALL was answered."""
    memory: int = 0
    """Growth of the process since before the first charger, in bytes."""
    tally: dict[str, Any] = field(default_factory=dict)
    final: bool = False


def rate_at(points: Sequence[tuple[float, float]], seconds: float) -> float:
    """The rate of a profile at a time; constant before its first point and after its last."""
    place = bisect_right(points, seconds, key=lambda point: point[0])
    if place in (0, len(points)):
        return points[min(place, len(points) - 1)][1]
    (before, low), (after, high) = points[place - 1], points[place]
    return low + (high - low) * (seconds - before) / (after - before)


def tls(plan: Plan, identity: str) -> ssl.SSLContext | None:
    """The context of one charger, or None for ``ws``. Raises OSError (ssl.SSLError is one)."""
    if not plan.url.startswith("wss:"):
        return None
    context = ssl.create_default_context(cafile=plan.ca or None)
    if plan.certificate:
        files = (path.replace("{identity}", identity) for path in (plan.certificate, plan.key))
        context.load_cert_chain(*files)
    return context
