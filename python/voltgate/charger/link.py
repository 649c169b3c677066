"""One websocket conversation: one own CALL open at a time, CALLs of the CSMS answered in between."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from voltgate import Codec, Frame
from voltgate.charger.behaviour import Stats


class LinkLostError(Exception):
    """The connection is gone. ``sent``: under an open CALL, and whether the CSMS saw it is unknown."""

    def __init__(self, reason: str, sent: bool = False) -> None:
        super().__init__(reason)
        self.sent = sent


@dataclass(frozen=True, slots=True)
class Answer:
    """A CALLRESULT; or where ``code`` is not empty a CALLERROR, or a CALLRESULT that violates its schema."""

    payload: dict[str, Any]
    code: str = ""
    description: str = ""
    seconds: float = 0.0


class Link:
    """The charger's end. ``command`` gives the payload that answers a valid CALL of the CSMS."""

    def __init__(
        self,
        socket: ClientConnection,
        codec: Codec,
        stats: Stats,
        timeout: float,
        command: Callable[[str, dict[str, Any]], dict[str, Any]],
    ) -> None:
        self._socket = socket
        self._codec = codec
        self._stats = stats
        self._timeout = timeout
        self._command = command
        self._turn = asyncio.Lock()
        self._open: tuple[str, str, asyncio.Future[Answer]] | None = None

    def __str__(self) -> str:
        """The socket's state, and the CALL that is open."""
        return f"{self._socket.state.name}, {f'{self._open[1]} open' if self._open else 'no CALL open'}"

    async def call(self, action: str, body: bytes, message_id: str) -> Answer:
        """Send a CALL when no other is open (OCPP.md A8). TimeoutError, LinkLostError."""
        async with self._turn:
            loop = asyncio.get_running_loop()
            future: asyncio.Future[Answer] = loop.create_future()
            self._open = message_id, action, future
            began = loop.time()
            try:
                await self._write(b'[2,"%b","%b",%b]' % (message_id.encode(), action.encode(), body))
                self._stats.sent += 1
                async with asyncio.timeout(self._timeout):
                    answer = await future
            except TimeoutError:
                self._stats.timeouts += 1
                raise
            except LinkLostError as lost:
                self._stats.lost += lost.sent
                raise
            finally:
                self._open = None
                if future.done() and not future.cancelled():
                    future.exception()  # the end may have come before the write failed: told once is enough
            seconds = loop.time() - began
            self._stats.latencies.add(seconds)
            return Answer(answer.payload, answer.code, answer.description, seconds)

    async def read(self) -> None:
        """Until the connection ends, which always raises LinkLostError."""
        try:
            async for message in self._socket:
                data = message.encode() if isinstance(message, str) else message
                await self._take(self._codec.decode(data, sender="csms"))
        except ConnectionClosed:
            pass
        reason = f"closed with {self._socket.close_code}"
        if self._open and not self._open[2].done():
            self._open[2].set_exception(LinkLostError(reason, sent=True))
        # Only when the one who holds the turn has taken the answer that may have come last: who waits
        # for this error cancels it.
        async with self._turn:
            raise LinkLostError(reason)

    async def close(self) -> None:
        """End the connection cleanly; :meth:`read` then raises."""
        await self._socket.close()

    async def _take(self, frame: Frame) -> None:
        if frame.type == 2 and frame.message_id is not None:
            await self._answer(frame)
        elif frame.type in {3, 4}:
            await self._settle(frame)

    async def _answer(self, frame: Frame) -> None:
        self._stats.commands += 1
        if frame.violation:
            reply: list[Any] = [4, frame.message_id, frame.violation.code, frame.violation.reason, {}]
        else:
            payload = self._command(frame.action or "", orjson.loads(frame.payload))
            reply = [3, frame.message_id, payload]
        await self._write(orjson.dumps(reply))

    async def _settle(self, frame: Frame) -> None:
        message_id, action, future = self._open or ("", "", None)
        if future is None or future.done() or frame.message_id != message_id:
            self._stats.late += 1
        elif frame.type == 4:
            self._stats.errors += 1
            future.set_result(Answer({}, frame.code or "GenericError", frame.description or ""))
        elif violation := frame.violation or self._codec.check(action, "response", frame.payload):
            self._stats.invalid += 1
            future.set_result(Answer({}, violation.code, violation.reason))
            if self._codec.version == "v21":  # OCPP.md A13
                await self._write(orjson.dumps([5, message_id, violation.code, violation.reason, {}]))
        else:
            self._stats.answered += 1
            future.set_result(Answer(orjson.loads(frame.payload)))

    async def _write(self, text: bytes) -> None:
        try:
            await self._socket.send(text, text=True)
        except ConnectionClosed as closed:
            raise LinkLostError(f"closed with {self._socket.close_code}") from closed
