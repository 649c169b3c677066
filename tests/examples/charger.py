"""A charger that keeps what was not answered and sends it again, and adds up what it delivered.

It shares no code with the product.
"""

import asyncio
import json
from collections import Counter
from contextlib import suppress
from itertools import count
from typing import Any
from urllib.parse import quote

import websockets
from websockets.asyncio.client import ClientConnection
from websockets.typing import Subprotocol

SUBPROTOCOLS = {"v16": "ocpp1.6", "v201": "ocpp2.0.1", "v21": "ocpp2.1"}
KNOWN, UNKNOWN = ("04A2B3", "E5 F6+7%"), "NOBODY"


class Charger:
    """Connected until :meth:`stop`. ``delivered``: Wh by tag, of sessions whose end was answered."""

    def __init__(self, url: str, identity: str, version: str) -> None:
        self.identity, self.version = identity, version
        self.delivered = Counter[str]()
        self._url = f"{url}/{quote(identity, safe='')}"
        self._numbers, self._meter = count(1), 1000
        self._open: dict[str, tuple[str, asyncio.Future[Any]]] = {}
        self._socket: ClientConnection | None = None
        self._task = asyncio.create_task(self._live())

    async def stop(self) -> None:
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task

    # -- what it says ---------------------------------------------------------------------------------

    async def authorize(self) -> None:
        """Ask for a known and an unknown tag; ValueError for a wrong answer."""
        for tag, expected in (*((tag, "Accepted") for tag in KNOWN), (UNKNOWN, "Invalid")):
            if self.version == "v16":
                answer = (await self.call("Authorize", {"idTag": tag}))["idTagInfo"]
            else:
                answer = (await self.call("Authorize", {"idToken": _token(tag)}))["idTokenInfo"]
            if answer["status"] != expected:
                raise ValueError(f"{self.identity}: {tag} is {answer['status']}")

    async def charge(self) -> None:
        """One session of some Wh, every other with another tag, some with an invalid time and reason."""
        number = next(self._numbers)
        tag, begin = KNOWN[number % len(KNOWN)], self._meter
        self._meter = end = begin + 1000 + number
        if self.version == "v16":
            await self._charge_v16(tag, begin, end)
        else:
            await self._charge_v2(f"tx/{number}", tag, begin, end)
        self.delivered[tag] += end - begin

    async def charge_incompletely(self) -> int:
        """Sessions with a message each that lacks what is billed; how many such messages."""
        number = next(self._numbers)
        if self.version == "v16":
            await self._charge_v16(KNOWN[0], None, self._meter)
            await self._charge_v16(KNOWN[0], self._meter, None)
        else:
            await self._charge_v2(f"tx/{number}", KNOWN[0], self._meter, None)
            await self._charge_v2(f"tx/{number}+", KNOWN[0], None, self._meter)
        return 2

    async def _charge_v16(self, tag: str, begin: int | None, end: int | None) -> None:
        start = {"connectorId": 1, "idTag": tag, "timestamp": "2026-01-01T10:00:00Z"}
        number = (await self.call("StartTransaction", start | _with(meterStart=begin)))["transactionId"]
        sample = {"timestamp": "2026-01-01T10:30:00Z", "sampledValue": [{"value": str(self._meter)}]}
        await self.call("MeterValues", {"connectorId": 1, "transactionId": number, "meterValue": [sample]})
        stop = {"timestamp": "2026-01-01T11:00:00Z", "transactionId": number}
        await self.call("StopTransaction", stop | _with(meterStop=end) | _odd("reason", end))

    async def _charge_v2(self, transaction: str, tag: str, begin: int | None, end: int | None) -> None:
        def event(kind: str, number: int, **values: Any) -> dict[str, Any]:
            reason = {"Started": "Authorized", "Ended": "StopAuthorized"}.get(kind, "MeterValuePeriodic")
            fixed = {"eventType": kind, "seqNo": number, "triggerReason": reason}
            info = {"transactionId": transaction}
            return fixed | {"timestamp": "2026-01-01T10:00:00Z", "transactionInfo": info} | values

        def meter(value: float | None, **unit: Any) -> list[dict[str, Any]]:
            power = {"value": 11.0, "measurand": "Power.Active.Import"}
            energy = _with(value=value) | ({"unitOfMeasure": unit} if unit else {})
            return [{"timestamp": "2026-01-01T10:00:00Z", "sampledValue": [power, energy]}]

        await self.call("TransactionEvent", event("Started", 0, meterValue=meter(begin)))
        await self.call("TransactionEvent", event("Updated", 1, idToken=_token(tag)))
        if end is None:
            values = meter(None)
        else:
            values = meter(end / 1000, unit="kWh") if end % 2 else meter(end / 10, unit="Wh", multiplier=1)
        ended = event("Ended", 2, meterValue=values, idToken=_token("MASTER"))
        await self.call("TransactionEvent", ended | _odd("triggerReason", end))

    async def call(self, action: str, payload: dict[str, Any]) -> Any:
        """The answer to a CALL, which is sent again on each connection until there is one."""
        number = f"{self.identity}-{next(self._numbers)}"
        frame = json.dumps([2, number, action, payload])
        self._open[number] = frame, asyncio.get_running_loop().create_future()
        if self._socket is not None:
            with suppress(websockets.ConnectionClosed):
                await self._socket.send(frame)
        try:
            async with asyncio.timeout(90):
                return await self._open[number][1]
        finally:
            del self._open[number]

    # -- its connection -------------------------------------------------------------------------------

    async def _live(self) -> None:
        while True:
            protocols = [Subprotocol(SUBPROTOCOLS[self.version])]
            # The gateway may refuse it, or be away: it dials again.
            with suppress(OSError, websockets.WebSocketException, TimeoutError):
                async with websockets.connect(self._url, subprotocols=protocols, proxy=None) as socket:
                    for frame, _ in [*self._open.values()]:
                        await socket.send(frame)
                    self._socket = socket
                    async for text in socket:
                        await self._read(socket, json.loads(text))
            self._socket = None
            await asyncio.sleep(0.2)

    async def _read(self, socket: ClientConnection, frame: list[Any]) -> None:
        match frame:
            case [2, number, "Reset", _]:
                await socket.send(json.dumps([3, number, {"status": "Accepted"}]))
            case [2, number, *_]:
                await socket.send(json.dumps([4, number, "InternalError", "not today", {}]))
            case [3, number, answer] if number in self._open:
                waiting = self._open[number][1]
                if not waiting.done():
                    waiting.set_result(answer)
            case [4, number, code, *_] if number in self._open:
                self._open[number][1].set_exception(ValueError(f"{self._open[number][0]}: {code}"))


def _with(**member: float | None) -> dict[str, Any]:
    """The member, unless it is missing."""
    return {name: value for name, value in member.items() if value is not None}


def _odd(reason: str, end: int | None) -> dict[str, str]:
    """In some sessions: what violates the schema and must be billed nevertheless."""
    return {} if end is None or end % 3 else {"timestamp": "2026-01-01T11:00:00", reason: "Vandalism"}


def _token(tag: str) -> dict[str, str]:
    return {"idToken": tag, "type": "ISO14443"}
