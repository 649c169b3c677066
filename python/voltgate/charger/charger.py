"""A simulated charger: dials, boots, reports, and dials again. What it says is in ``messages``, what it
answers in ``commands``, what it must not lose in ``outbox``.

    run:        dial -> converse -> lost -> back off -> dial ...
    converse:   boot (until Accepted) -> ready: status of each connector, heartbeats, the outbox

Vehicles come and go in ``connectors``, also while there is no connection.
"""

import asyncio
import random
from base64 import b64encode
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from ssl import SSLContext
from typing import Any
from urllib.parse import quote
from uuid import UUID

import orjson
import structlog
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException
from websockets.typing import Subprotocol

from voltgate import Codec
from voltgate.charger import commands
from voltgate.charger.behaviour import Behaviour, Stats
from voltgate.charger.connectors import Connectors
from voltgate.charger.link import Answer, Link, LinkLostError
from voltgate.charger.messages import Message, Payload, Transaction, accepted, dialect
from voltgate.charger.outbox import Outbox, Queued
from voltgate.schemas import SUBPROTOCOLS

log = structlog.get_logger()

OnAnswer = Callable[[Queued, Answer, int], None]
OnCommand = Callable[[str, Payload], None]


class Charger:
    """One charger of one version (``v16``, ``v201``, ``v21``).

    ``url`` is what the identity is appended to; of several, chance picks one at each dial, as a load
    balancer would. ``on_answer(message, answer, attempt)`` hears every answer to a transaction message: a
    CALLRESULT (``answer.code`` is empty: the CSMS has it now) or a CALLERROR; ``attempt`` counts its sends
    from 1. ``on_command(action, payload)`` hears every valid CALL of the CSMS before it is carried out.
    ``stats`` may be shared. ``rng`` decides whatever is left to chance, ids included: give a seeded one to
    tests only, ids must not come twice.
    """

    def __init__(  # noqa: PLR0913 - keywords with defaults
        self,
        url: str | Sequence[str],
        identity: str,
        version: str,
        *,
        behaviour: Behaviour | None = None,
        password: bytes | str | None = None,
        ssl: SSLContext | None = None,
        local_addr: tuple[str, int] | None = None,
        rng: random.Random | None = None,
        stats: Stats | None = None,
        on_answer: OnAnswer | None = None,
        on_command: OnCommand | None = None,
    ) -> None:
        self.identity = identity
        self.version = version
        self.behaviour = behaviour or Behaviour()
        self.stats = stats or Stats()
        self.rng = rng or random.Random()  # noqa: S311 - a simulation
        self.dialect = dialect(version)
        self.password = password.encode() if isinstance(password, str) else password
        self.registration = ""
        """What the last boot answer said."""
        self.interval = 0.0
        """Seconds between heartbeats, 0 is never."""
        self.ready = asyncio.Event()
        """Connected, accepted by the CSMS, and the states of the connectors told."""
        self.connectors = Connectors(self)
        self.local_list = 0
        self.configuration = commands.configuration(version, self.behaviour)
        self.outbox = Outbox(self.behaviour, self.stats, self.new_id, self._settled, self._dropped)

        self._urls = [
            f"{one.rstrip('/')}/{quote(identity, safe='')}"
            for one in ([url] if isinstance(url, str) else url)
        ]
        self._transport = {"ssl": ssl, "local_addr": local_addr}
        self._on_answer = on_answer
        self._on_command = on_command
        self._codec = Codec(SUBPROTOCOLS[version])
        self._link: Link | None = None
        self._boot_reason = "PowerUp"
        self._boot_now = asyncio.Event()
        self._rhythm = asyncio.Event()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._running: asyncio.Task[None] | None = None
        self._leaving = False

    # Life

    def start(self) -> None:
        """Live in a task of its own until :meth:`stop`."""
        self._running = asyncio.create_task(self.run())

    async def stop(self) -> None:
        """Close the connection cleanly and end. An error that ended the charger before is raised here."""
        if self._running:
            self._leaving = True
            self._running.cancel()
            await asyncio.wait([self._running])
            if not self._running.cancelled():
                self._running.result()

    async def run(self) -> None:
        """Live until cancelled."""
        try:
            for connector in self.connectors.states if self.behaviour.idle else ():
                self.later(self.connectors.vehicles(connector))
            failures = 0
            while True:
                failures = 0 if await self._dialled() else failures + 1
                if self._leaving:  # in the moment of a loss, and a TaskGroup told of the loss alone
                    return
                await asyncio.sleep(self._back_off(failures))
        finally:
            for task in self._tasks:
                task.cancel()
            if self._tasks:
                await asyncio.wait(self._tasks)

    def later(self, work: Coroutine[Any, Any, None]) -> None:
        """Do it beside everything else; a lost connection or a missing answer ends it quietly."""

        async def quietly() -> None:
            try:
                await work
            except (LinkLostError, TimeoutError) as reason:
                log.debug("charger.undone", charger=self.identity, reason=str(reason))

        task = asyncio.create_task(quietly())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _dialled(self) -> bool:
        """One connection from its upgrade to its end; False where the upgrade did not succeed."""
        connected = False
        try:
            socket = await connect(self.rng.choice(self._urls), **self._options())
            try:
                if socket.subprotocol is not None:
                    connected = True
                    await self._converse(socket)
            finally:
                await socket.close()
        except (OSError, TimeoutError, WebSocketException) as reason:
            log.debug("charger.refused", charger=self.identity, reason=str(reason))
        self.stats.refused += not connected
        return connected

    async def _converse(self, socket: ClientConnection) -> None:
        self.stats.connects += 1
        self._link = Link(socket, self._codec, self.stats, self.behaviour.answer_timeout, self._command)
        try:
            async with asyncio.TaskGroup() as conversation:
                conversation.create_task(self._link.read())
                conversation.create_task(self._speak(self._link))
        except* LinkLostError as lost:
            log.debug("charger.lost", charger=self.identity, reason=str(lost.exceptions[0]))
        finally:
            self._link = None
            self.ready.clear()
            self.stats.disconnects += 1

    async def _speak(self, link: Link) -> None:
        if self.registration != "Accepted" or self.behaviour.boot_on_reconnect:
            await self._boot()
        await self.connectors.report()
        self.ready.set()
        async with asyncio.TaskGroup() as speaking:
            speaking.create_task(self.outbox.run(link.call))
            speaking.create_task(self._heartbeats())

    async def _boot(self) -> None:
        """Ask until Accepted, at the pace the CSMS sets; nothing else is said meanwhile (OCPP.md A18)."""
        while True:
            wait = 0.0
            self._boot_now.clear()
            try:
                answer = await self.call(*self.dialect.boot(self._boot_reason))
                self.registration = str(answer.payload.get("status", ""))
                wait = float(answer.payload.get("interval", 0)) * self.behaviour.second
            except TimeoutError:
                self.registration = ""
            if self.registration == "Accepted":
                self.beat_every(wait if self.behaviour.heartbeat is None else self.behaviour.heartbeat)
                return
            with suppress(TimeoutError):
                async with asyncio.timeout(wait or self.behaviour.boot_retry):
                    await self._boot_now.wait()

    def boot_now(self, reason: str) -> None:
        """The CSMS wants a BootNotification; one that is waiting for its turn comes at once."""
        if self.registration == "Accepted":
            self.later(self.say(self.dialect.boot(reason)))
        else:
            self._boot_reason = reason
            self._boot_now.set()

    def beat_every(self, seconds: float) -> None:
        """The interval of heartbeats from now on, 0 is never."""
        self.interval = seconds
        self._rhythm.set()

    async def _heartbeats(self) -> None:
        while True:
            self._rhythm.clear()
            try:
                async with asyncio.timeout(self.interval or None):
                    await self._rhythm.wait()
            except TimeoutError:
                with suppress(TimeoutError):
                    await self.call("Heartbeat", {})

    @property
    def state(self) -> str:
        """The connection and the CALL that is open, in words."""
        return "offline" if self._link is None else str(self._link)

    async def reconnect(self) -> None:
        """Close the connection; the charger dials again by itself."""
        if self._link:
            await self._link.close()

    async def reset(self) -> None:
        """End transactions, close, dial, boot."""
        for connector in self.connectors.states:
            self.connectors.end(connector, "SoftReset")
        if self._link:
            self.registration, self._boot_reason = "", "RemoteReset"
        await self.reconnect()

    def _options(self) -> dict[str, Any]:
        headers = {}
        if self.password is not None:
            # The password may be any bytes (OCPP.md A23).
            basic = b64encode(self.identity.encode() + b":" + self.password).decode()
            headers["Authorization"] = f"Basic {basic}"
        return {
            "subprotocols": [Subprotocol(SUBPROTOCOLS[self.version])],
            "additional_headers": headers,
            "compression": self.behaviour.compression,
            "open_timeout": self.behaviour.open_timeout,
            "ping_interval": self.behaviour.ping_interval,
            "ping_timeout": self.behaviour.ping_timeout,
            "close_timeout": 1,
            "proxy": None,
            # websockets takes None for a contradiction to wss://
            **{name: value for name, value in self._transport.items() if value is not None},
        }

    def _back_off(self, failures: int) -> float:
        """OCPP.md A19: the first wait also follows a connection that was lost."""
        doubled = 2.0 ** min(max(failures - 1, 0), self.behaviour.back_off_repeats)
        wait = self.behaviour.back_off_minimum * doubled
        return wait + self.rng.uniform(0, self.behaviour.back_off_random)

    # Messages

    def new_id(self) -> str:
        """A message or transaction id: a UUID, 36 characters (OCPP.md A6, A20)."""
        return str(UUID(int=self.rng.getrandbits(128), version=4))

    async def call(self, action: str, payload: Payload) -> Answer:
        """A CALL that nobody keeps: LinkLostError when offline, TimeoutError without an answer."""
        if self._link is None:
            raise LinkLostError("offline")
        return await self._link.call(action, orjson.dumps(payload), self.new_id())

    def keep(self, message: Message, transaction: Transaction | None = None) -> Queued:
        """A transaction message: it stays in the outbox until the CSMS has it."""
        queued = Queued(*message, transaction)
        self.outbox.put(queued)
        return queued

    async def say(self, *messages: Message) -> None:
        """CALLs whose answers do not matter."""
        for message in messages:
            await self.call(*message)

    def _command(self, action: str, payload: Payload) -> Payload:
        if self._on_command:
            self._on_command(action, payload)
        return commands.answer(self, action, payload)

    def _settled(self, message: Queued, answer: Answer) -> None:
        if self._on_answer:
            self._on_answer(message, answer, message.sends)
        tx = message.transaction
        if tx is None or answer.code:
            return
        if message.action == "StartTransaction":
            tx.id = int(answer.payload.get("transactionId", 0))
        if not accepted(answer.payload):
            self.connectors.end(tx.connector, "DeAuthorized", tx)

    def _dropped(self, message: Queued) -> None:
        log.debug("charger.dropped", charger=self.identity, message=message.action)
