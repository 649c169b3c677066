"""Which of six bad MeterValues a server refuses: what its validation is worth."""

import json
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

PATIENCE = 5.0  # seconds for an answer
GOOD: dict[str, Any] = {
    "connectorId": 1,
    "transactionId": 7,
    "meterValue": [
        {
            "timestamp": "2026-03-01T10:00:00Z",
            "sampledValue": [{"value": "7", "measurand": "Energy.Active.Import.Register", "unit": "Wh"}],
        }
    ],
}


def _with(*path: str | int, value: Any = None) -> dict[str, Any]:
    """``GOOD`` with another value at ``path``; None removes it."""
    payload = deepcopy(GOOD)
    place: Any = payload
    for step in path[:-1]:
        place = place[step]
    if value is None:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    return payload


SAMPLE = ("meterValue", 0, "sampledValue", 0)
BAD = {
    "no connectorId": _with("connectorId"),
    "a string for a number": _with("connectorId", value="1"),
    "a number for a string": _with(*SAMPLE, "value", value=7),
    "an unknown measurand": _with(*SAMPLE, "measurand", value="Energy"),
    "an unknown member": _with("x", value=1),
    "a timestamp that is none": _with("meterValue", 0, "timestamp", value="yesterday"),
}


@dataclass(frozen=True)
class Judged:
    """What a server did with them."""

    answers: bool
    """Whether the good MeterValues got its CALLRESULT."""
    accepted: tuple[str, ...]
    """The bad ones that got a CALLRESULT; each other one got a CALLERROR, a Close or nothing."""

    @property
    def text(self) -> str:
        """For the table."""
        refused = f"{len(BAD) - len(self.accepted)} of {len(BAD)}"
        some = 0 < len(self.accepted) < len(BAD)
        return f"{refused}, accepts {' and '.join(self.accepted)}" if some else refused


def judged(port: int) -> Judged:
    """Send all of them, each over a connection of its own: some servers end it at the first."""
    answered = {name: _accepted(port, payload) for name, payload in {"good": GOOD, **BAD}.items()}
    return Judged(answered.pop("good"), tuple(name for name, accepted in answered.items() if accepted))


def _accepted(port: int, payload: dict[str, Any]) -> bool:
    url, protocol = f"ws://127.0.0.1:{port}/bench/JUDGED", Subprotocol("ocpp1.6")
    with connect(url, subprotocols=[protocol], compression=None, close_timeout=1) as socket:
        socket.send(json.dumps([2, "1", "MeterValues", payload]))
        return _result(socket)


def _result(socket: ClientConnection) -> bool:
    try:
        return bool(json.loads(socket.recv(PATIENCE))[0] == 3)
    except (TimeoutError, ConnectionClosed):
        return False
