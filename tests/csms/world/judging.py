"""The ledger folds what arrived; what it bills is compared with the true meter."""

import random
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import orjson

from csms.world.truth import BOOTED, IDENTITY, MINUTE, RESEND, Arrived, Life, Visit, life
from voltgate.charger.faults import FAULTS
from voltgate.config_csms import Csms
from voltgate.csms.ledger import decisions, store, ticks, times
from voltgate.csms.ledger.acting import Settings
from voltgate.csms.ledger.books import Books
from voltgate.csms.ledger.facts import Message, token
from voltgate.csms.ledger.pseudonyms import Pseudonyms

STREAMS = ("OCPP_TX", "OPS_STATE", "OCPP_COMMANDS", "OCPP_EVENTS", "OPS_SET", "OPS_TICK")
PRICE = "0.40"
CONNECTOR = {"evse": 1, "connector": 1, "max_power_w": 160_000}
MWH_PER_WH = 1000
LOOSE = timedelta(hours=26)  # when even a session without an end is closed


@dataclass(frozen=True, slots=True)
class Billed:
    """One session of the ledger. ``visits``: the vehicles whose messages it is made of."""

    state: str
    mwh: int
    cost: int | None
    flags: tuple[str, ...]
    visits: frozenset[int]


def folded(world: Life) -> list[Billed]:
    """The sessions of a ledger that has read everything a charger sent, and waited for more."""
    ledger = _Ledger(world)
    ledger.read(life(world))
    return ledger.sessions()


class _Ledger:
    def __init__(self, world: Life) -> None:
        self.world = world
        self.rng = random.Random(world.seed)
        self.database = store.opened("sqlite:///:memory:")
        self.books = Books(self.database, Settings(Csms(tick_seconds=300)), Pseudonyms(b"world"))
        for stream in STREAMS:
            self.books.begin_at(stream, times.text(BOOTED))
        self.seqs: Counter[str] = Counter()
        self.whose: dict[tuple[str, int], int] = {}

    def read(self, arrived: Sequence[Arrived]) -> None:
        """In batches of any size, with ticks between them; within a tick one stream may be ahead."""
        self._decide()
        waiting = list(self._stored(arrived))
        at = BOOTED
        while waiting:
            at += 5 * MINUTE
            now = [message for message in waiting if message.stored_at < at.timestamp()]
            waiting = waiting[len(now) :]
            if self.rng.random() < 0.5:
                now.sort(key=lambda message: message.stream)
            while now:
                size = self.rng.choice((1, 3, 500))
                self.books.fold(now[:size])
                now = now[size:]
            self._tick(at)
        for pause in (3 * MINUTE, 15 * MINUTE, 3 * MINUTE, LOOSE, 3 * MINUTE):
            at += pause
            self._tick(at)

    def _stored(self, arrived: Sequence[Arrived]) -> Iterator[Message]:
        """What JetStream keeps."""
        seen: dict[str, datetime] = {}
        for one in arrived:
            headers = {"ce-id": f"{one.connection}/{len(self.whose)}", "ce-time": times.text(one.at)}
            headers |= one.headers
            name = headers.get("Nats-Msg-Id")
            if name is not None:
                if name in seen and one.at - seen[name] < RESEND:
                    continue
                seen[name] = one.at
            headers["ce-time"] = times.text(one.at)
            kind = "tx" if one.stream == "OCPP_TX" else "event"
            subject = f"ocpp.{kind}.{self.world.version}.{one.action}.{token(IDENTITY)}"
            if one.action == "link":
                subject = f"ops.link.{token(IDENTITY)}"
            message = self._message(one.stream, subject, headers, orjson.dumps(one.payload), one.at)
            if one.visit is not None:
                self.whose[message.stream, message.seq] = one.visit
            yield message

    def _message(
        self, stream: str, subject: str, headers: dict[str, str], body: bytes, at: datetime
    ) -> Message:
        self.seqs[stream] += 1
        return Message(stream, self.seqs[stream], subject, headers, body, at.timestamp())

    def _decide(self) -> None:
        made: list[tuple[str, str, dict[str, Any]]] = [
            ("tariff", "flat", {"currency": "EUR", "tax_percent": "19", "energy_kwh": PRICE}),
            ("assignment", "default", {"tariff": "flat"}),
            ("charger", IDENTITY, {"connectors": [CONNECTOR]}),
        ]
        messages = []
        for kind, id_, body in made:
            data = decisions.encoded(by="world", at=BOOTED, body=body)
            messages.append(self._message("OPS_SET", decisions.subject("ops", kind, id_), {}, data, BOOTED))
        self._tick(BOOTED, messages)

    def _tick(self, at: datetime, decided: Sequence[Message] = ()) -> None:
        body = ticks.encoded(at, self.books.positions)
        self.books.tick(self._message("OPS_TICK", "ops.tick", {}, body, at), decided)

    def sessions(self) -> list[Billed]:
        """All of them, by their first message."""
        visits = defaultdict(set)
        with self.database.begin() as tx:
            for session, stream, seq in tx.all("SELECT session, stream, seq FROM said"):
                if (stream, seq) in self.whose:
                    visits[session].add(self.whose[stream, seq])
            rows = tx.all("SELECT id, state, mwh, cost, flags FROM session ORDER BY first_heard, id")
        return [
            Billed(state, mwh, cost, tuple(flags.split()), frozenset(visits[id_]))
            for id_, state, mwh, cost, flags in rows
        ]


def faults_found(world: Life, billed: Sequence[Billed]) -> list[str]:
    """What is wrong with a ledger's sessions, in words; empty: nothing."""
    found = []
    for place, visit in enumerate(world.visits):
        truth = world.energy(visit)
        own = [one for one in billed if place in one.visits]
        invoiced = [one for one in own if one.state == "settled"]
        mwh = sum(one.mwh for one in invoiced)
        what = f"vehicle {place} of {truth} Wh"
        if not own and is_known(world, visit):
            found.append(f"{what}: lost")
        if any(len(one.visits) > 1 for one in invoiced):
            found.append(f"{what}: billed together with another: {own}")
        if len([one for one in invoiced if one.mwh]) > 1:
            found.append(f"{what}: billed twice: {invoiced}")
        if mwh > (truth + 1) * MWH_PER_WH and not ambiguous(world):
            found.append(f"{what}: {mwh / MWH_PER_WH} Wh are billed: {invoiced}")
        wrong = abs(mwh - truth * MWH_PER_WH) > tolerance(truth)
        if wrong and not (hidden(world, visit) or ambiguous(world)) and not any(one.flags for one in own):
            found.append(f"{what}: {mwh / MWH_PER_WH} Wh without a flag: {own}")
        proposed = sum(one.mwh for one in own if one.state in ("settled", "review"))
        if provable(world) and proposed < truth * MWH_PER_WH - tolerance(truth):
            found.append(f"{what}: only {proposed / MWH_PER_WH} Wh are proven: {own}")
        found += [f"{what}: a wrong cost: {one}" for one in invoiced if not priced(one)]
    found += [f"not settled after a day: {one}" for one in billed if one.state not in ("settled", "review")]
    return found


def tolerance(truth: int) -> float:
    """mWh: 1 %, and the register has whole Wh."""
    return max(0.01 * truth, 1) * MWH_PER_WH


def provable(world: Life) -> bool:
    """Whether what was sent proves the energy. Of two faults one may hide what the other left."""
    provable_ = all(FAULTS[name].provable for name in world.active)
    # In 1.6 nothing says what was delivered since the last interval.
    return provable_ and len(world.active) <= 1 and (world.version, *world.active) != ("v16", "intervals")


def is_known(world: Life, visit: Visit) -> bool:
    """Whether anything but meter values was sent of a vehicle: those alone make no session."""
    if not {"start_lost", "stop_lost"} <= set(world.active):
        return True
    return world.version != "v16" and world.minutes(visit) > world.every


def hidden(world: Life, visit: Visit) -> bool:
    """Whether nothing that was sent shows that the energy is wrong: no power beside it, or an uneven one."""
    bare = {"no_meter_values", "no_energy"} & set(world.active) or len(visit.powers) <= 2 * world.every
    bare = bare or len(set(visit.powers)) > 1
    return bool(bare) and bool({"kwh_named_wh", "intervals"} & set(world.active))


def ambiguous(world: Life) -> bool:
    """Whether a register of kWh under the name Wh that begins at 0 seems to be that of a new meter."""
    return world.version != "v16" and {"begin_zero", "kwh_named_wh"} <= set(world.active)


def priced(one: Billed) -> bool:
    """Whether it costs its energy, to the cent."""
    cents = one.mwh * 40 / 1_000_000
    return one.cost is not None and abs(one.cost / 10_000 - cents) <= 1
