"""The connectors (1.6) or EVSEs (2.x) of a charger: their states, meters, and who charges there.

Available -> Preparing -> Charging -> Finishing -> Available
                 |  token refused                      |  taken out of service
                 +-----------------> Available         +---> Unavailable
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from voltgate.charger.link import Answer, LinkLostError
from voltgate.charger.messages import Message, State, Transaction, accepted

if TYPE_CHECKING:
    from voltgate.charger.charger import Charger


class Connectors:
    """Works with and without a connection: what nobody hears now is in the outbox, or reported later."""

    def __init__(self, charger: "Charger") -> None:
        self._charger = charger
        self._behaviour = charger.behaviour
        numbers = range(1, charger.behaviour.connectors + 1)
        self.states = dict.fromkeys(numbers, State.AVAILABLE)
        self.meters = dict.fromkeys(numbers, 0)
        """Wh, the register of each."""
        self.transactions: dict[int, Transaction] = {}
        self._ended: dict[int, asyncio.Event] = {}
        self._out_of_service: set[int] = set()
        self._unreported: set[int] = set()

    async def report(self) -> None:
        """All states, as after a (re)connect; when it returns, the CSMS knows what they are now."""
        self._unreported |= set(self.states)
        while self._unreported:
            connector = self._unreported.pop()
            with suppress(TimeoutError):
                await self._charger.say(self._charger.dialect.status(connector, self.states[connector]))

    async def vehicles(self, connector: int) -> None:
        """Come, stay and go for ever, as ``Behaviour.idle`` and ``charging`` say."""
        await self._charger.ready.wait()
        rng, interval = self._charger.rng, self._behaviour.meter_interval
        while True:
            await asyncio.sleep(rng.uniform(*self._behaviour.idle or (0, 0)))
            self.read(connector)
            await self.charge(connector, readings=round(rng.uniform(*self._behaviour.charging) / interval))

    def read(self, connector: int) -> None:
        """A reading by the clock, outside of any transaction."""
        self._charger.keep(self._charger.dialect.metered(connector, self.meters[connector], "Sample.Clock"))

    async def charge(self, connector: int = 1, tag: str = "", *, readings: int = 2) -> Transaction | None:
        """A whole transaction by a person with a card; None where the card or the connector is refused.

        It lasts for ``readings`` meter values, or until something else ends it. Without a connection it
        starts unasked, and its messages wait in the outbox.
        """
        tx = Transaction(connector, tag or self._charger.rng.choice(self._behaviour.tags))
        return tx if await self.transact(tx, readings) else None

    async def transact(self, tx: Transaction, readings: int | None = None) -> bool:
        """The road of every transaction; with ``readings`` None it lasts until something ends it."""
        if self.states[tx.connector] is not State.AVAILABLE:
            return False
        self.transactions[tx.connector] = tx
        self._ended[tx.connector] = asyncio.Event()
        await self.become(tx.connector, State.PREPARING)
        allowed = tx.remote or await self._authorized(tx)
        if allowed:
            await self._charge(tx, readings)
        del self.transactions[tx.connector]
        await self.become(tx.connector, State.AVAILABLE)
        return allowed

    async def _charge(self, tx: Transaction, readings: int | None) -> None:
        dialect, connector = self._charger.dialect, tx.connector
        if self._charger.version != "v16":
            tx.id = self._charger.new_id()
        tx.meter = self.meters[connector]
        self._keep(tx, dialect.started)
        await self.become(connector, State.CHARGING)
        while not tx.stopped and readings != 0:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._behaviour.meter_interval):
                    await self._ended[connector].wait()
                break
            self._consume(tx)
            self._keep(tx, dialect.updated)
            readings = None if readings is None else readings - 1
        tx.stopped = tx.stopped or "Local"
        self._consume(tx)
        self._keep(tx, dialect.ended)
        await self.become(connector, State.FINISHING)

    async def start(self, tx: Transaction) -> None:
        """From afar: it lasts until something ends it."""
        await self.transact(tx)

    def tell(self, connectors: list[int]) -> bool:
        """2.x: a TransactionEvent because the CSMS asked for one; False where nothing charges."""
        charging = [tx for tx in self.transactions.values() if tx.connector in connectors and tx.id]
        for tx in charging:
            self._keep(tx, lambda tx: self._charger.dialect.updated(tx, "Trigger"))
        return bool(charging)

    def end(self, connector: int, reason: str, only: Transaction | None = None) -> bool:
        """Stop what charges there, for a reason in 1.6's words. ``only``: not if it is another one by now."""
        tx = self.transactions.get(connector)
        if tx is None or tx.stopped or (only or tx) is not tx:
            return False
        tx.stopped = reason
        self._ended[connector].set()
        return True

    def in_service(self, connector: int, operative: bool) -> bool:
        """Take a connector out of service or back; False where a transaction has to end first."""
        (self._out_of_service.discard if operative else self._out_of_service.add)(connector)
        if connector in self.transactions:
            return operative
        self._charger.later(self.become(connector, State.AVAILABLE))
        return True

    async def become(self, connector: int, state: State) -> None:
        """A connector changes; the CSMS hears it now, or with the others after the next connect."""
        if state is State.AVAILABLE and connector in self._out_of_service:
            state = State.UNAVAILABLE
        if self.states[connector] is state:
            return
        self.states[connector] = state
        if self._charger.ready.is_set():
            await _unless_lost(self._charger.call(*self._charger.dialect.status(connector, state)))
        else:
            self._unreported.add(connector)

    async def _authorized(self, tx: Transaction) -> bool:
        if not self._charger.ready.is_set():
            return True
        message = self._charger.dialect.authorize(tx.tag, tx.tag_type)
        answer = await _unless_lost(self._charger.call(*message))
        return answer is None or (not answer.code and accepted(answer.payload))

    def _keep(self, tx: Transaction, moment: Callable[[Transaction], Message]) -> None:
        tx.offline = not self._charger.ready.is_set()
        self._charger.keep(moment(tx), tx)

    def _consume(self, tx: Transaction) -> None:
        tx.power = self._charger.rng.randint(3_000, 22_000)
        tx.meter += max(1, round(tx.power * self._behaviour.meter_interval / 3600))
        self.meters[tx.connector] = tx.meter


async def _unless_lost(answer: Awaitable[Answer]) -> Answer | None:
    try:
        return await answer
    except (LinkLostError, TimeoutError):
        return None
