"""A scripted CSMS over real sockets: it does what the test decides, also what a correct CSMS never does."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from http import HTTPStatus
from ssl import SSLContext
from typing import Any

import orjson
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from voltgate import Codec
from voltgate.charger import Behaviour, Charger, Endpoint, Observer, Settings
from voltgate.schemas import SUBPROTOCOLS

VERSIONS = tuple(SUBPROTOCOLS)
QUICK = Behaviour(
    second=0.001,
    boot_retry=0.02,
    heartbeat=0,
    answer_timeout=5,
    retry_interval=0.03,
    back_off_minimum=0.01,
    back_off_random=0.01,
    back_off_repeats=2,
    meter_interval=0.01,
)
NOW = "2026-01-01T00:00:00Z"
OK: dict[str, dict[str, Any]] = {
    "Authorize": {"idTagInfo": {"status": "Accepted"}, "idTokenInfo": {"status": "Accepted"}},
    "BootNotification": {"status": "Accepted", "currentTime": NOW, "interval": 300},
    "DataTransfer": {"status": "Accepted"},
    "Heartbeat": {"currentTime": NOW},
    "StartTransaction": {"transactionId": 7, "idTagInfo": {"status": "Accepted"}},
}


class Call:
    """A CALL that the CSMS received: its charger and time."""

    def __init__(self, frame: list[Any], socket: ServerConnection) -> None:
        assert socket.request is not None
        assert socket.subprotocol is not None
        _, self.id, self.action, self.payload = frame
        self.identity = socket.request.path.rpartition("/")[2]
        self.subprotocol: str = socket.subprotocol
        self.at = asyncio.get_running_loop().time()


def accept(call: Call) -> dict[str, Any]:
    """The answer of a correct CSMS."""
    answer = OK.get(call.action, {})
    if call.action == "Authorize":
        name = "idTagInfo" if call.subprotocol == "ocpp1.6" else "idTokenInfo"
        return {name: answer[name]}
    return answer


Decision = dict[str, Any] | str
SILENCE, CLOSE, ERROR = "silence", "close", "error"


class Csms:
    """``decide(call)`` gives a payload, ``SILENCE``, ``CLOSE`` or ``ERROR``."""

    def __init__(self, decide: Callable[[Call], Decision] = accept) -> None:
        self.decide = decide
        self.received: list[Call] = []
        self.answers: dict[str, list[Any]] = {}
        self.sockets: list[ServerConnection] = []
        self.closed: list[int | None] = []
        self.handshakes: list[tuple[float, Request]] = []
        self.refuse = 0
        self.tls: SSLContext | None = None
        self.subprotocols: Iterable[str] | None = SUBPROTOCOLS.values()
        self._changed = asyncio.Condition()
        self._server: Server | None = None
        self._port = 0

    async def start(self) -> str:
        offers = [Subprotocol(name) for name in self.subprotocols] if self.subprotocols else None
        self._server = await serve(
            self._hear,
            "127.0.0.1",
            self._port,
            ssl=self.tls,
            subprotocols=offers,
            process_request=self._admit,
        )
        self._port = next(iter(self._server.sockets)).getsockname()[1]
        return f"{'wss' if self.tls else 'ws'}://127.0.0.1:{self._port}/ocpp"

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        await self._server.wait_closed()

    async def until(self, condition: Callable[[], Any]) -> None:
        """Checks the condition again after every frame and handshake."""
        async with asyncio.timeout(10), self._changed:
            await self._changed.wait_for(lambda: bool(condition()))

    async def wait_for(self, action: str, times: int = 1) -> Call:
        await self.until(lambda: len(self.all(action)) >= times)
        return self.all(action)[times - 1]

    def all(self, *actions: str) -> list[Call]:
        return [call for call in self.received if call.action in actions]

    async def command(self, action: str, payload: dict[str, Any]) -> list[Any]:
        """A CALL to the charger that connected last; its answer."""
        message_id = f"c{len(self.answers)}"
        self.answers[message_id] = []
        await self.sockets[-1].send(orjson.dumps([2, message_id, action, payload]).decode())
        await self.until(lambda: self.answers[message_id])
        return self.answers[message_id]

    async def _tell(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    async def _admit(self, socket: ServerConnection, request: Request) -> Response | None:
        self.handshakes.append((asyncio.get_running_loop().time(), request))
        refused = len(self.handshakes) <= self.refuse
        await self._tell()
        return socket.respond(HTTPStatus.SERVICE_UNAVAILABLE, "later\n") if refused else None

    async def _hear(self, socket: ServerConnection) -> None:
        self.sockets.append(socket)
        try:
            async for text in socket:
                frame = orjson.loads(text)
                if frame[0] == 2:
                    await self._answer(socket, Call(frame, socket))
                else:
                    self.answers[frame[1]] = frame
                await self._tell()
        except ConnectionClosed:
            pass
        self.closed.append(socket.close_code)
        await self._tell()

    async def _answer(self, socket: ServerConnection, call: Call) -> None:
        violation = Codec(call.subprotocol).check(call.action, "request", orjson.dumps(call.payload))
        assert violation is None, (call.action, violation.pointer, violation.reason)
        self.received.append(call)
        decision = self.decide(call)
        with suppress(ConnectionClosed):  # what came before the Close is still to be read
            if decision == CLOSE:
                await socket.close(1013)
            elif decision == ERROR:
                await socket.send(orjson.dumps([4, call.id, "InternalError", "", {}]).decode())
            elif decision != SILENCE:
                await socket.send(orjson.dumps([3, call.id, decision]).decode())


def new(
    url: str | list[str],
    version: str,
    behaviour: Behaviour = QUICK,
    *,
    identity: str = "CP 1",
    password: bytes | None = None,
    observer: Observer | None = None,
    **endpoint: Any,
) -> Charger:
    """A charger that is not started, with a random generator of its own."""
    urls = [url] if isinstance(url, str) else url
    endpoints = [Endpoint(url=one, **endpoint) for one in urls]
    settings = Settings(
        identity=identity, version=version, endpoints=endpoints, password=password, behaviour=behaviour
    )
    return Charger(settings, observer, rng=random.Random(7))


@asynccontextmanager
async def conversation(
    version: str,
    decide: Callable[[Call], Decision] = accept,
    behaviour: Behaviour = QUICK,
    **options: Any,
) -> AsyncIterator[tuple[Charger, Csms]]:
    """A charger and its CSMS; both end with the block, and cleanly."""
    csms = Csms(decide)
    charger = new(await csms.start(), version, behaviour, **options)
    charger.start()
    try:
        yield charger, csms
    finally:
        await charger.stop()
        await csms.stop()


async def ready(charger: Charger) -> None:
    """Connected, accepted, and all statuses are answered."""
    await wait_until(lambda: charger.ready)


async def emptied(charger: Charger) -> None:
    """The CSMS has every transaction message."""
    await wait_until(lambda: not charger.outbox)


async def wait_until(condition: Callable[[], Any]) -> None:
    """For internal state of the charger that no frame shows."""
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.001)
