"""The connectors (1.6) or EVSEs (2.x) of a charger: their statuses, meters and transactions.

    Available -> Preparing -> Charging -> Finishing -> Available
                     |  token refused                      |  out of service
                     +-----------------> Available         +---> Unavailable

Transactions also run without a connection: their messages go to the outbox, statuses are reported after the
next connect. Meter values and arrivals of vehicles (``Behaviour.idle``) have one timer each per connector.
Every message passes ``faults`` on its way out.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from itertools import cycle

from voltgate.charger.calls import Answer, End, Unanswered
from voltgate.charger.faults import FAULTS, Moment, Scene, applied
from voltgate.charger.line import Line
from voltgate.charger.messages import DIALECTS, Message, Status, Transaction, accepted
from voltgate.charger.power import RATED_W, Limit, allowed

AWAY_READINGS, AWAY_SECONDS = 3, 20.0  # how long a charger that loses its connection is away


@dataclass(slots=True)
class Connector:
    """The state of one connector or EVSE."""

    number: int
    status: Status = Status.AVAILABLE
    meter: int = 0
    """Wh, the register."""
    transaction: Transaction | None = None
    in_service: bool = True
    unreported: bool = False
    arrival: asyncio.TimerHandle | None = None
    reading: asyncio.TimerHandle | None = None


class Connectors:
    """All connectors of one charger; ``[number]`` and ``in`` take the connector's number."""

    __slots__ = ("_all", "_behaviour", "_booted", "_dialect", "_faults", "_ids", "_line", "limits")

    def __init__(self, line: Line) -> None:
        self._line = line
        self._behaviour = line.settings.behaviour
        self._dialect = DIALECTS[line.settings.version]
        self._booted = datetime.now(UTC)
        self._faults = [FAULTS[name] for name in self._behaviour.faults]
        self._ids = cycle("12")  # of a charger whose transaction ids repeat
        self.limits: dict[int, Limit] = {}
        self._all = [Connector(number) for number in range(1, self._behaviour.connectors + 1)]

    def __getitem__(self, number: int) -> Connector:
        return self._all[number - 1]

    def __contains__(self, number: int) -> bool:
        return 0 < number <= len(self._all)

    @property
    def numbers(self) -> list[int]:
        """All numbers, from 1."""
        return [connector.number for connector in self._all]

    @property
    def transactions(self) -> list[Transaction]:
        """The running transactions."""
        return [connector.transaction for connector in self._all if connector.transaction]

    @property
    def stubborn(self) -> bool:
        """Whether it charges with a token that is refused."""
        return any(fault.stubborn for fault in self._faults)

    # Statuses

    def report(self, then: Callable[[], None]) -> None:
        """Send all statuses after a connect; ``then`` is called after the last answer."""
        for connector in self._all:
            connector.unreported = True
        self._report_next(then, Unanswered.TIMEOUT)

    def _report_next(self, then: Callable[[], None], end: End) -> None:
        if end is Unanswered.LOST:
            return
        for connector in self._all:
            if connector.unreported:
                connector.unreported = False
                message = self._status(connector)
                self._line.send(message, partial(self._report_next, then), greeting=True)
                return
        then()

    def change_service(self, number: int, in_service: bool) -> bool:
        """Whether the change is immediate; if not, the running transaction has to end first."""
        connector = self[number]
        connector.in_service = in_service
        if connector.transaction:
            return in_service
        self._become(connector, Status.AVAILABLE)
        return True

    def _become(self, connector: Connector, status: Status) -> None:
        if status is Status.AVAILABLE and not connector.in_service:
            status = Status.UNAVAILABLE
        if connector.status is status:
            return
        connector.status = status
        if connector.transaction and connector.transaction.planned:
            return
        if self._line.ready:
            self._line.send(self._status(connector))
        else:
            connector.unreported = True

    def _status(self, connector: Connector) -> Message:
        (message,) = self._faulty(self._dialect.status(connector.number, connector.status), Moment.OTHER)
        return message

    # Transactions

    async def charge(self, number: int = 1, tag: str = "", *, readings: int = 2) -> Transaction | None:
        """Run a transaction with a card; it ends after ``readings`` meter values unless ended before.

        None if the card or the connector is refused. Without a connection it starts without authorization.
        """
        over: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        tag = tag or self._line.rng.choice(self._behaviour.tags)
        tx = Transaction(
            number, tag, readings=readings, over=lambda did: None if over.done() else over.set_result(did)
        )
        return tx if self.start(tx) and await over else None

    def start(self, tx: Transaction) -> bool:
        """Authorize (unless remote or planned) and charge; False if the connector is not available."""
        connector = self[tx.connector]
        if connector.status is not Status.AVAILABLE:
            return False
        connector.transaction = tx
        self._become(connector, Status.PREPARING)
        if tx.remote or tx.planned or not self._line.ready:
            self._charge(tx)
        else:
            self._line.send(self._dialect.authorize(tx.tag, tx.tag_type), partial(self._authorized, tx))
        return True

    def read(self, number: int) -> None:
        """A meter value outside of any transaction."""
        value = self._dialect.metered(number, self[number].meter, "Sample.Clock")
        for message in self._faulty(value, Moment.OTHER):
            self._line.keep(message)

    def update(self, tx: Transaction) -> None:
        """A meter value of a transaction."""
        self._consume(tx)
        self._keep(tx, self._dialect.updated, Moment.SAMPLE)

    def end(self, tx: Transaction, reason: str) -> bool:
        """Stop the transaction; ``reason`` is a 1.6 reason. False if it has already ended."""
        if tx.stopped or self[tx.connector].transaction is not tx:
            return False
        tx.stopped = reason
        if tx.begun:
            self._finish(tx)
        return True

    def triggered(self, numbers: list[int]) -> bool:
        """2.x: send triggered TransactionEvents; False if no transaction is running."""
        charging = [tx for tx in self.transactions if tx.connector in numbers and tx.begun]
        for tx in charging:
            self._keep(tx, lambda tx: self._dialect.updated(tx, "Trigger"), Moment.SAMPLE)
        return bool(charging)

    def _authorized(self, tx: Transaction, end: End) -> None:
        if isinstance(end, Answer) and (end.code or not accepted(end.payload)) and not self.stubborn:
            self._free(tx)
        else:
            self._charge(tx)

    def _charge(self, tx: Transaction) -> None:
        connector = self[tx.connector]
        if self._line.settings.version != "v16":
            repeats = any(fault.repeats_ids for fault in self._faults)
            tx.id = next(self._ids) if repeats else self._line.new_id()
        tx.meter, tx.begun = connector.meter, True
        if self._line.ready and any(fault.away for fault in self._faults):
            self._line.lose(min(AWAY_READINGS * self._behaviour.meter_interval, AWAY_SECONDS))
        self._keep(tx, self._dialect.started, Moment.BEGIN)
        self._become(connector, Status.CHARGING)
        if tx.stopped:
            self._finish(tx)
        elif tx.readings == 0:
            self.end(tx, "Local")
        elif not tx.planned:
            self._read_later(tx)

    def _read_later(self, tx: Transaction) -> None:
        loop = asyncio.get_running_loop()
        self[tx.connector].reading = loop.call_later(self._behaviour.meter_interval, self._reading, tx)

    def _reading(self, tx: Transaction) -> None:
        self._read_later(tx)
        self.update(tx)
        if tx.readings is not None:
            tx.readings -= 1
            if tx.readings == 0:
                self.end(tx, "Local")

    def _finish(self, tx: Transaction) -> None:
        self._consume(tx)
        self._keep(tx, self._dialect.ended, Moment.END)
        self._become(self[tx.connector], Status.FINISHING)
        self._free(tx)

    def _free(self, tx: Transaction) -> None:
        connector = self[tx.connector]
        if connector.reading is not None:
            connector.reading.cancel()
        self._become(connector, Status.AVAILABLE)
        connector.transaction = None
        if tx.over is not None:
            tx.over(tx.begun)

    def _keep(self, tx: Transaction, message: Callable[[Transaction], Message], moment: Moment) -> None:
        tx.offline = not self._line.ready
        if self._faults:
            tx.true_readings.append(tx.meter)
        for one in self._faulty(message(tx), moment, tuple(tx.true_readings)):
            self._line.keep(one, tx)

    def _faulty(self, message: Message, moment: Moment, readings: tuple[int, ...] = ()) -> list[Message]:
        if not self._faults:
            return [message]
        version = self._line.settings.version
        scene = Scene(version=version, moment=moment, booted=self._booted, readings=readings)
        return applied(self._behaviour.faults, message, scene)

    def _consume(self, tx: Transaction) -> None:
        shared = allowed(self.limits, 0) / max(1, len(self.transactions))
        most = min(RATED_W, allowed(self.limits, tx.connector), shared)
        tx.power = min(self._line.rng.randint(3_000, 22_000), int(most))
        tx.meter += max(1, round(tx.power * self._behaviour.meter_interval / 3600))
        self[tx.connector].meter = tx.meter

    # Vehicles

    def open(self) -> None:
        """Start arrivals of vehicles, if ``Behaviour.idle`` is set."""
        for connector in self._all:
            if self._behaviour.idle is not None and connector.arrival is None:
                self._arrive_later(connector, False)

    def close(self) -> None:
        """Stop arrivals and meter values."""
        for connector in self._all:
            for handle in (connector.arrival, connector.reading):
                if handle is not None:
                    handle.cancel()

    def _arrive_later(self, connector: Connector, charged: bool) -> None:
        del charged
        seconds = self._line.rng.uniform(*self._behaviour.idle or (0, 0))
        connector.arrival = asyncio.get_running_loop().call_later(seconds, self._arrive, connector)

    def _arrive(self, connector: Connector) -> None:
        self.read(connector.number)
        readings = round(self._line.rng.uniform(*self._behaviour.charging) / self._behaviour.meter_interval)
        tx = Transaction(
            connector.number,
            self._line.rng.choice(self._behaviour.tags),
            readings=readings,
            over=partial(self._arrive_later, connector),
        )
        if not self.start(tx):
            self._arrive_later(connector, False)
