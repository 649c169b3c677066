"""What chargers do too much or wrong: violations of the schemas by model, and top talkers.

The facts of both are read from the end of the streams when somebody asks, at most so many, and kept for a
while: memory and work are bounded, however many chargers and people there are.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from time import monotonic
from typing import Any, Generic, TypeVar

from voltgate.config import Nats
from voltgate.csms.console.facts import action_of, body_of, is_answer, mappings, text
from voltgate.csms.console.history import History
from voltgate.csms.ledger.facts import Message, identity
from voltgate.csms.ledger.streams import Input

T = TypeVar("T")
Document = dict[str, Any]

MOST = 20_000  # messages that are read of a stream
KINDS = 5000  # of violations that are counted
SHOWN = 100
KEPT_SECONDS = 20.0
TALKED = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Model:
    """What a charger says it is, and where it is."""

    vendor: str
    model: str
    firmware: str
    site: str


Models = Mapping[str, Model]
NOBODY = Model("", "", "", "")


class Recent(Generic[T]):
    """What was read lately, by how it was asked for. One reads, the others wait for it."""

    def __init__(self) -> None:
        self._found: dict[object, tuple[float, T]] = {}
        self._reading = asyncio.Lock()

    async def get(self, key: object, read: Callable[[], Awaitable[T]]) -> T:
        """The value of a key, read where it is too old."""
        async with self._reading:
            known = self._found.get(key)
            if known is not None and monotonic() - known[0] < KEPT_SECONDS:
                return known[1]
            self._found = {
                one: kept for one, kept in self._found.items() if monotonic() - kept[0] < KEPT_SECONDS
            }
            value = await read()
            self._found[key] = monotonic(), value
            return value


@dataclass(slots=True)
class Noise:
    """What one console has read."""

    history: History
    nats: Nats
    violations: Recent[list[Message]] = field(default_factory=Recent)
    talk: Recent[tuple[list[Message], float]] = field(default_factory=Recent)

    async def violated(self, hours: int) -> list[Message]:
        """The facts of violations of the last hours, the oldest first."""
        source = Input(f"{self.nats.stream_prefix}_REJECTS", (f"{self.nats.prefix}.violation.*",))
        since = timedelta(hours=hours)
        return await self.violations.get(hours, lambda: self.history.latest(source, MOST, MOST, back=since))

    async def talked(self, now: datetime) -> tuple[list[Message], float]:
        """The last stored messages of all chargers, without their bodies; since when, 0.0: all are there."""

        async def read() -> tuple[list[Message], float]:
            parts = [
                await self.history.tail(Input(f"{self.nats.stream_prefix}_{name}"), MOST, now - TALKED)
                for name in ("TX", "EVENTS")
            ]
            # Of a stream that was read in part, only the time that both cover can be compared.
            begin = max((part[0].stored_at for part in parts if len(part) == MOST), default=0.0)
            return [one for part in parts for one in part if one.stored_at >= begin], begin

        return await self.talk.get("", read)


def violations(facts: list[Message], models: Models, sees: Callable[[str], bool]) -> list[Document]:
    """The most frequent first, of chargers at sites that the asker sees."""
    counts: Counter[tuple[str, ...]] = Counter()
    who: dict[tuple[str, ...], set[str]] = {}
    for fact in facts:
        charger, said = identity(fact.subject.rpartition(".")[2]), body_of(fact)
        model = models.get(charger, NOBODY)
        if not sees(model.site):
            continue
        for one in mappings(said.get("violations")):
            if not isinstance(count := one.get("count"), int):
                continue
            told = (said.get("version"), *(one.get(name) for name in ("action", "code", "pointer")))
            kind = (model.vendor, model.model, model.firmware, *map(text, told))
            if kind not in counts and len(counts) >= KINDS:
                continue
            counts[kind] += count
            who.setdefault(kind, set()).add(charger)
    names = ("vendor", "model", "firmware", "version", "action", "code", "pointer")
    return [
        dict(zip(names, kind, strict=True))
        | {"count": count, "chargers": len(who[kind]), "example": min(who[kind])}
        for kind, count in counts.most_common(SHOWN)
    ]


def talkers(
    facts: list[Message], models: Models, minutes: float, sees: Callable[[str], bool]
) -> list[Document]:
    """Those that sent most; answers of the gateway are not counted."""
    counts: Counter[str] = Counter()
    actions: dict[str, Counter[str]] = {}
    for fact in facts:
        if is_answer(fact):
            continue
        token = fact.subject.rpartition(".")[2]
        counts[token] += 1
        actions.setdefault(token, Counter())[action_of(fact)] += 1
    found: list[Document] = []
    for token, count in counts.most_common():
        charger = identity(token)
        model = models.get(charger, NOBODY)
        if sees(model.site) and len(found) < SHOWN:
            found.append(
                {
                    "charger": charger,
                    "vendor": model.vendor,
                    "model": model.model,
                    "messages": count,
                    "per_minute": round(count / minutes, 2),
                    "often": actions[token].most_common(1)[0][0],
                }
            )
    return found
