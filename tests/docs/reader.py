"""The reader's charger, CP001: it shares no code with the product."""

import json
import threading
from contextlib import suppress
from itertools import count
from typing import Any

from websockets.exceptions import WebSocketException
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

PATIENCE = 30.0


class Reader:
    """Connected from :meth:`start` to :meth:`stop`, again after a close; it accepts every command."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._stopping = threading.Event()
        self._up = threading.Event()
        self._thread: threading.Thread | None = None
        self._socket: ClientConnection | None = None
        self._ids = count(1)
        self._answers: dict[str, Any] = {}
        self._answered = threading.Condition()

    def start(self) -> None:
        self._stopping.clear()
        self._thread = threading.Thread(target=self._live, daemon=True)
        self._thread.start()
        self.connected()

    def stop(self) -> None:
        self._stopping.set()
        if self._socket is not None:
            self._socket.close()
        if self._thread is not None:
            self._thread.join(PATIENCE)

    def connected(self) -> None:
        """Wait until it is connected and was answered."""
        assert self._up.wait(PATIENCE), "CP001 is not let in"

    def charge(self) -> None:
        """A whole session, with a new connection before it."""
        self.connected()
        assert self._socket is not None
        self._up.clear()
        self._socket.close()
        self.connected()
        self.call("StatusNotification", connectorId=1, errorCode="NoError", status="Available")
        self.call("Authorize", idTag="04A2")
        start = {"connectorId": 1, "idTag": "04A2", "meterStart": 0, "timestamp": "2026-01-01T00:00:00Z"}
        answer = self.call("StartTransaction", **start)
        stop = {"meterStop": 1, "timestamp": "2026-01-01T01:00:00Z", "transactionId": answer["transactionId"]}
        self.call("StopTransaction", **stop)

    def call(self, action: str, **payload: Any) -> Any:
        """The answer to a CALL."""
        number = str(next(self._ids))
        assert self._socket is not None
        self._socket.send(json.dumps([2, number, action, payload]))
        with self._answered:
            assert self._answered.wait_for(lambda: number in self._answers, PATIENCE), f"{action}: no answer"
        return self._answers[number]

    def _live(self) -> None:
        while not self._stopping.is_set():
            protocols = [Subprotocol("ocpp1.6")]
            with (
                suppress(OSError, WebSocketException, EOFError),
                connect(self._url, subprotocols=protocols, proxy=None) as self._socket,
            ):
                self._converse(self._socket)
            self._up.clear()
            self._stopping.wait(0.1)

    def _converse(self, socket: ClientConnection) -> None:
        boot = {"chargePointVendor": "Reader", "chargePointModel": "One"}
        socket.send(json.dumps([2, "boot", "BootNotification", boot]))
        for text in socket:
            kind, number, *rest = json.loads(text)
            if kind == 2:
                socket.send(json.dumps([3, number, {"status": "Accepted"}]))
            elif number == "boot":
                self._up.set()
            else:
                with self._answered:
                    self._answers[number] = rest[0]
                    self._answered.notify_all()
