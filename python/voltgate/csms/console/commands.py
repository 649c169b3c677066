"""Commands to chargers, over NATS (docs/contract.md 3.5), and how they ended in words for people."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from time import monotonic
from typing import Any

import orjson
from nats.aio.client import Client
from nats.errors import Error, NoRespondersError
from nats.errors import TimeoutError as NoReply

from voltgate import _core
from voltgate.csms.console.intents import Command
from voltgate.csms.console.problems import Kind, Problem
from voltgate.csms.ledger import times

TIMEOUT = 30.0  # seconds the charger may take to answer
PATIENCE = 5.0  # and a gateway beyond it: a frozen one answers nothing
ROUTES = 1.0  # while a gateway takes over or reconnects, "no responders" is repeated (docs/contract.md 3.5)
_AGAIN = 0.1
REMEMBERED = 10_000

NOT_CONNECTED, UNKNOWN = "not_connected", "unknown"
WORDS = {
    "result": "The charger answered.",
    "error": "The charger refused the command with an error.",
    "bad_result": "The charger's answer is not valid OCPP.",
    "invalid": "Not sent: the charger's OCPP version has no such command, or the id is of another one.",
    "busy": "Not sent: too many commands wait for this charger.",
    "expired": "Not sent: the charger was busy with other commands until the time was over.",
    "timeout": "Sent, and no answer in time: the effect is unknown.",
    "lost": "Sent, then the connection ended: the effect is unknown.",
    "gone": "Not sent: the connection ended first.",
    "unavailable": "Not sent: the command could not be stored.",
    NOT_CONNECTED: "Not sent: the charger is not connected.",
    UNKNOWN: "No gateway answered: the effect is unknown.",
}
# It was sent, or may have been, and there is no result.
SENT = frozenset({"error", "bad_result", "timeout", "lost", UNKNOWN})


@dataclass(frozen=True, slots=True)
class Ended:
    """``outcome``: of the gateway, or one of the two that nobody could say. ``status``: "" without one."""

    outcome: str
    status: str
    message: str
    """More, of the gateway or the charger."""
    body: dict[str, Any] = field(default_factory=dict)
    """Of the charger's response; empty without one."""

    @property
    def meaning(self) -> str:
        """For people."""
        return " ".join(one for one in (WORDS.get(self.outcome, ""), self.message) if one)


class Sender:
    """Sends commands of one console."""

    def __init__(self, client: Client, rpc_prefix: str, now: Callable[[], datetime]) -> None:
        self._client, self._prefix, self._now = client, rpc_prefix, now
        self._sent: OrderedDict[tuple[str, str], Command] = OrderedDict()

    def repeated(self, identity: str, command_id: str) -> Command | None:
        """What was sent under this id: a stop that is repeated has no open session any more."""
        return self._sent.get((identity, command_id))

    async def send(self, identity: str, command: Command, command_id: str) -> Ended:
        """Wait for the outcome. Raises Problem while NATS is away."""
        if not self._client.is_connected:
            raise Problem(Kind.UNAVAILABLE, "NATS is away: nothing was sent")
        self._sent[identity, command_id] = command
        if len(self._sent) > REMEMBERED:
            self._sent.popitem(last=False)
        subject = f"{self._prefix}.send.{command.action}.{_core.token(identity)}"
        # The client sends what it holds when NATS is back: nobody wants it then.
        deadline = self._now() + timedelta(seconds=TIMEOUT)
        headers = {"ocpp-deadline": times.text(deadline), "ocpp-command-id": _core.header_value(command_id)}
        give_up = monotonic() + ROUTES
        while True:
            try:
                reply = await self._client.request(
                    subject, command.payload, timeout=TIMEOUT + PATIENCE, headers=headers
                )
            except NoRespondersError:
                if monotonic() > give_up:
                    return Ended(NOT_CONNECTED, "", "")
                await asyncio.sleep(_AGAIN)
            except (NoReply, Error):  # it may have been sent
                return Ended(UNKNOWN, "", "")
            else:
                return _ended(reply.headers or {}, reply.data)


def _ended(headers: dict[str, str], data: bytes) -> Ended:
    outcome = headers.get("ocpp-outcome", UNKNOWN)
    try:
        body = orjson.loads(data)
    except orjson.JSONDecodeError:
        body = {}
    body = body if isinstance(body, dict) else {}
    if outcome == "result":
        status = body.get("status")
        return Ended(outcome, status if isinstance(status, str) else "", "", body)
    if outcome == "error":
        said = (body.get("code"), body.get("description"))
        return Ended(outcome, "", ": ".join(str(one) for one in said if one))
    return Ended(outcome, "", str(body.get("reason") or ""))
