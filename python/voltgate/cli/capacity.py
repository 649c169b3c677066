"""How long the streams keep what flows into them: measured for ``check``, estimated for ``streams plan``.

A stream keeps a message for ``max_age`` unless ``max_bytes`` is reached before. ``OCPP_TX`` then refuses new
messages, which is an outage; the others lose their oldest (docs/contract.md 3.7).
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from voltgate.config import Config

if TYPE_CHECKING:
    from nats.aio.client import Client

DAY = 86_400
SECTIONS = ("tx", "events", "commands")  # the streams with keys of their own: streams.tx_max_bytes
BYTES_PER_ID = 250  # memory of nats-server per id in a duplicate window (measured: 210 to 295)
# A span to conclude from: shorter ones say little, unless the stream has filled up in it.
_LEAST_SECONDS, _LEAST_FILL = 3600.0, 0.5

# Facts of one charger in a day: four sessions of an hour with meter values every minute; status and boot
# notifications; a few commands. Bytes as stored, headers included.
PER_DAY = {"tx": 260, "events": 40, "commands": 8}
BYTES = {"tx": 1200, "events": 1100, "commands": 1100}
_ENOUGH = 1000  # messages in a stream, to take their mean size


@dataclass(frozen=True, slots=True)
class Flow:
    """What a stream has taken so far."""

    messages: int
    bytes: int
    seconds: float

    @property
    def mean(self) -> int | None:
        """Bytes of a message; None where there are too few."""
        return round(self.bytes / self.messages) if self.messages >= _ENOUGH else None


@dataclass(frozen=True, slots=True)
class Capacity:
    """What flows into a stream, against what it may keep."""

    stream: str
    section: str
    bytes_per_day: float
    max_bytes: int
    max_age_days: int

    @property
    def needed(self) -> int:
        """Bytes for ``max_age``."""
        return round(self.bytes_per_day * self.max_age_days)

    @property
    def days(self) -> float:
        """Days that ``max_bytes`` lasts."""
        return self.max_bytes / self.bytes_per_day if self.bytes_per_day else float("inf")

    @property
    def fits(self) -> bool:
        """Whether every message is kept for ``max_age``."""
        return self.needed <= self.max_bytes

    @property
    def found(self) -> str:
        """The figures, in words."""
        rate = f"{human(self.bytes_per_day)} a day"
        if self.fits:
            return f"{rate}: {human(self.needed)} of {human(self.max_bytes)} in {self.max_age_days} days"
        return f"{rate}: {human(self.max_bytes)} are full after {self.days:.1f} of {self.max_age_days} days"

    @property
    def remedy(self) -> str:
        """What to change where it does not fit."""
        name = f"streams.{self.section}_max"
        return f"set {name}_bytes to {self.needed} or more, or {name}_age_days to {max(int(self.days), 1)}"


def capacity(config: Config, section: str, bytes_per_day: float) -> Capacity:
    """Of one stream of the configuration."""
    most = getattr(config.streams, f"{section}_max_bytes")
    age = getattr(config.streams, f"{section}_max_age_days")
    return Capacity(f"{config.nats.stream_prefix}_{section.upper()}", section, bytes_per_day, most, age)


async def flows(client: "Client", config: Config) -> dict[str, Flow]:
    """What has flowed into each stream that exists. Raises nats.errors.Error."""
    from voltgate.gateway.bus import streams  # noqa: PLC0415 - not every command needs NATS

    found = {}
    for section in SECTIONS:
        state = await streams.state(client, f"{config.nats.stream_prefix}_{section.upper()}")
        if state is not None and state["messages"]:
            found[section] = _flow(state, datetime.now(UTC))
    return found


def _flow(state: dict[str, Any], now: datetime) -> Flow:
    first = datetime.fromisoformat(state["first_ts"][:19] + "+00:00")
    return Flow(state["messages"], state["bytes"], max((now - first).total_seconds(), 1.0))


def measured(config: Config, section: str, flow: Flow) -> Capacity | None:
    """By what has flowed in; None where that says too little."""
    most = getattr(config.streams, f"{section}_max_bytes")
    if flow.seconds < _LEAST_SECONDS and flow.bytes < _LEAST_FILL * most:
        return None
    return capacity(config, section, flow.bytes / flow.seconds * DAY)


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a number of chargers sends, and the memory of the duplicate window."""

    capacities: tuple[Capacity, ...]
    rates: tuple[float, ...]
    """Facts per second into each."""
    sizes: tuple[int, ...]
    """Bytes of each fact."""
    tx_rate: float
    """Transaction messages per second."""


def estimated(config: Config, chargers: int, rate: float | None, flows: dict[str, Flow]) -> Estimate:
    """``rate``: transaction messages per second of all chargers, else :data:`PER_DAY` of each."""
    rates = {section: chargers * PER_DAY[section] / DAY for section in SECTIONS}
    if rate is not None:
        rates["tx"] = rate
    sizes = {one: (flows[one].mean if one in flows else None) or BYTES[one] for one in SECTIONS}
    sections = [one for one in SECTIONS if rates[one]]
    return Estimate(
        tuple(capacity(config, one, rates[one] * sizes[one] * DAY) for one in sections),
        tuple(rates[one] for one in sections),
        tuple(sizes[one] for one in sections),
        rates["tx"],
    )


def human(size: float) -> str:
    """Bytes in the largest unit that leaves a whole number."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} TiB"
