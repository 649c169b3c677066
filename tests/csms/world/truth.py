"""The true world: vehicles at a connector with a true meter, and what an imperfect charger sends about them.

The charger speaks by the dialects of the simulated charger and has its faults; here are only virtual time,
the network and the CSMS's answers.
"""

import hashlib
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from voltgate import _core
from voltgate.charger.faults import FAULTS, Moment, Scene, applied
from voltgate.charger.faults.transactions import UNKNOWN
from voltgate.charger.messages import V16, Message, Status, Transaction, V2x, rfc3339

BOOTED = datetime(2026, 3, 2, 6, tzinfo=UTC)
TRAVEL = timedelta(milliseconds=300)
MINUTE, SECOND = timedelta(minutes=1), timedelta(seconds=1)
LIFETIME = 912_345  # Wh of the register before the first vehicle
IDENTITY, PLACE, TAG = "CP 1", 1, "04A2B3C4"
RESEND = timedelta(minutes=20)  # JetStream drops an identical message within it (docs/contract.md 3.7)


@dataclass(frozen=True, slots=True)
class Visit:
    """One vehicle: minutes until the next one, and W in each minute of its own."""

    free: int
    powers: tuple[int, ...]

    def delivered(self, minutes: int) -> int:
        """Wh after so many minutes, as the true meter counts them."""
        return sum(self.powers[:minutes]) // 60


@dataclass(frozen=True, slots=True)
class Life:
    """Everything that decides what happens to one charger."""

    version: str
    faults: tuple[str, ...]
    visits: tuple[Visit, ...]
    every: int = 5
    """Minutes between two meter values."""
    refused: bool = False
    """Whether the CSMS answers starts with ConcurrentTx."""
    late: bool = False
    """Whether some messages are sent again after the window of JetStream."""
    seed: int = 0

    def minutes(self, visit: Visit) -> int:
        """How long a vehicle charges: until it leaves, is refused, or the charger has no power any more."""
        if self.refused and not any(FAULTS[name].stubborn for name in self.active):
            return 0
        whole = len(visit.powers)
        return (whole - 1) // self.every * self.every if "power_loss" in self.active else whole

    def energy(self, visit: Visit) -> int:
        """Wh."""
        return visit.delivered(self.minutes(visit))

    @property
    def active(self) -> tuple[str, ...]:
        """The faults that a charger of this version can have."""
        return tuple(name for name in self.faults if self.version in FAULTS[name].versions)


@dataclass(slots=True)
class Arrived:
    """A message at the gateway. ``visit``: whose it is, by its place; None: of no vehicle."""

    at: datetime
    connection: str
    action: str
    payload: dict[str, Any]
    visit: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    stream: str = "OCPP_TX"


def life(world: Life) -> list[Arrived]:
    """Every message of a charger, in the order in which the gateway reads them."""
    return sorted(_Charger(world).live(), key=lambda one: one.at)


class _Charger:
    """One charger in virtual time."""

    def __init__(self, world: Life) -> None:
        self.world, self.names = world, world.active
        self.now = BOOTED
        clock = lambda: rfc3339(self.now)  # noqa: E731
        self.dialect = V16(clock) if world.version == "v16" else V2x(clock)
        self.rng = random.Random(world.seed)
        self.connections = 1
        self.away = False
        self.backlog: list[tuple[str, dict[str, Any], int | None]] = []
        self.ids = 0
        self.transactions: dict[str, int] = {}  # ocpp-key -> the CSMS's id

    def live(self) -> Iterator[Arrived]:
        """From the boot to the last vehicle, and the hour behind it."""
        yield self._link("up")
        yield from self._event(self.dialect.boot("PowerUp"))
        yield from self._status(Status.AVAILABLE)
        for place, visit in enumerate(self.world.visits):
            self.now += visit.free * MINUTE
            yield from self._visit(place, visit)
        self.now += 60 * MINUTE
        value = self.dialect.metered(PLACE, self.register(len(self.world.visits)), "Sample.Clock")
        for message in self._faulty(value):
            yield self._arrived(message, None)

    def register(self, visits: int) -> int:
        """The true register before a vehicle."""
        past = self.world.visits[:visits]
        return LIFETIME + sum(map(self.world.energy, past))

    def _visit(self, place: int, visit: Visit) -> Iterator[Arrived]:
        repeats = any(FAULTS[name].repeats_ids for name in self.names)
        fresh = str(1 + place % 2) if repeats else f"tx-{self.world.seed}-{place}"
        tx = Transaction(PLACE, TAG, id=None if self.world.version == "v16" else fresh)
        yield from self._status(Status.PREPARING)
        self.now += 20 * SECOND
        self.away = any(FAULTS[name].away for name in self.names)
        if self.away:
            yield self._link("down")
        begin, began = self.register(place), self.now
        tx.meter = begin
        yield from self._sent(tx, Moment.BEGIN, place)
        yield from self._status(Status.CHARGING)
        minutes = self.world.minutes(visit)
        for minute in range(self.world.every, len(visit.powers) if minutes else 0, self.world.every):
            self.now = began + minute * MINUTE
            tx.meter, tx.power = begin + visit.delivered(minute), max(1, visit.powers[minute - 1])
            yield from self._sent(tx, Moment.SAMPLE, place)
        self.now = max(self.now, began + minutes * MINUTE) + SECOND
        tx.meter, tx.stopped = begin + visit.delivered(minutes), "Local" if minutes else "DeAuthorized"
        yield from self._sent(tx, Moment.END, place)
        if self.away:
            self.now += 7 * MINUTE
            self.away = False
            self.connections += 1
            yield self._link("up")
            for action, payload, whose in self.backlog:
                self.now += SECOND
                yield from self._delivered((action, payload), whose, tx)
            self.backlog.clear()
        yield from self._status(Status.FINISHING)
        self.now += MINUTE
        yield from self._status(Status.AVAILABLE)

    def _sent(self, tx: Transaction, moment: Moment, place: int) -> Iterator[Arrived]:
        make = {
            Moment.BEGIN: self.dialect.started,
            Moment.SAMPLE: self.dialect.updated,
            Moment.END: self.dialect.ended,
        }[moment]
        tx.offline = self.away
        tx.true_readings.append(tx.meter)
        for message in self._faulty(make(tx), moment, tuple(tx.true_readings)):
            if self.away:
                self.backlog.append((*message, place))
            else:
                self.now += SECOND
                yield from self._delivered(message, place, tx)

    def _faulty(
        self, message: Message, moment: Moment = Moment.OTHER, readings: tuple[int, ...] = ()
    ) -> list[Message]:
        scene = Scene(version=self.world.version, moment=moment, booted=BOOTED, readings=readings)
        return applied(self.names, message, scene)

    # The network, and the CSMS's answers

    def _delivered(self, message: Message, place: int | None, tx: Transaction) -> Iterator[Arrived]:
        action, payload = message
        if payload.get("transactionId", 0) is None:
            payload["transactionId"] = tx.id or UNKNOWN
        if action == "BootNotification":
            yield from self._event(message)
            return
        if action == "StatusNotification":
            yield self._arrived(message, None, "OPS_STATE")
            return
        sent = self._arrived(message, place)
        yield sent
        if self.world.late and self.rng.random() < 0.2:  # its answer was lost, and the charger tries for long
            yield Arrived(sent.at + RESEND + MINUTE, sent.connection, action, payload, place, sent.headers)
        if action == "StartTransaction":
            yield self._answer(sent, tx)

    def _answer(self, start: Arrived, tx: Transaction) -> Arrived:
        headers = {name: start.headers[name] for name in ("ocpp-key", "ocpp-session", "ce-subject")}
        if "tx_id_unknown" in self.names:
            headers["ocpp-error-code"] = "InternalError"
            return Arrived(start.at, start.connection, f"{start.action}Response", {}, start.visit, headers)
        given = self.transactions.setdefault(start.headers["ocpp-key"], len(self.transactions) + 501)
        tx.id = tx.id or given
        status = "ConcurrentTx" if self.world.refused else "Accepted"
        answer = {"transactionId": given, "idTagInfo": {"status": status}}
        headers["Nats-Msg-Id"] = f"{start.headers['Nats-Msg-Id']}/response"
        return Arrived(start.at, start.connection, f"{start.action}Response", answer, start.visit, headers)

    def _status(self, status: Status) -> Iterator[Arrived]:
        if not self.away:
            (message,) = self._faulty(self.dialect.status(PLACE, status))
            yield self._arrived(message, None, "OPS_STATE")

    def _event(self, message: Message) -> Iterator[Arrived]:
        yield self._arrived(message, None, "OPS_STATE")

    def _link(self, state: str) -> Arrived:
        body = {
            "state": state, "identity": IDENTITY, "version": self.world.version,
            "session": f"s{self.connections}", "at": rfc3339(self.now), "reason": "",
            "epoch": None if state == "up" else self.connections,
        }  # fmt: skip
        headers = {"ce-id": f"link/{self.connections}/{state}", "ce-time": rfc3339(self.now)}
        return Arrived(self.now, f"s{self.connections}", "link", body, None, headers, "OPS_STATE")

    def _arrived(self, message: Message, place: int | None, stream: str = "OCPP_TX") -> Arrived:
        action, payload = message
        body, connection = orjson.dumps(payload), f"s{self.connections}"
        self.ids += 1
        number = f"m{self.ids}"
        key = _core.key(self.world.version, action, IDENTITY, connection, number, body)
        headers = {"ocpp-key": key, "ocpp-session": connection, "ce-subject": "CP%201"}
        if stream == "OCPP_TX":
            headers["Nats-Msg-Id"] = hashlib.sha256(f"{key}\n".encode() + body).hexdigest()[:32]
        return Arrived(self.now + TRAVEL, connection, action, payload, place, headers, stream)
