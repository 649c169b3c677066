"""A central system on mobilityhouse/ocpp as its README shows one: a websockets server, a class per charger.

It answers what the benchmark sends and stores nothing. Run: ``python mobilityhouse.py PORT``
"""

import asyncio
import sys
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import uvloop
import websockets
from ocpp.routing import on
from ocpp.v16 import ChargePoint as ChargePoint16
from ocpp.v16 import call_result as result16
from ocpp.v201 import ChargePoint as ChargePoint201
from ocpp.v201 import call_result as result201
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol


def now() -> str:
    """The time as OCPP writes it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class V16(ChargePoint16):
    """A charger of 1.6."""

    @on("Heartbeat")
    def heartbeat(self) -> Any:
        """The time."""
        return result16.Heartbeat(current_time=now())

    @on("StatusNotification")
    def status(self, **told: Any) -> Any:
        """Taken note of."""
        return result16.StatusNotification()

    @on("MeterValues")
    def meter_values(self, **told: Any) -> Any:
        """Taken note of."""
        return result16.MeterValues()


class V201(ChargePoint201):
    """A charger of 2.0.1."""

    @on("TransactionEvent")
    def transaction_event(self, **told: Any) -> Any:
        """Taken note of."""
        return result201.TransactionEvent()


async def on_connect(socket: ServerConnection) -> None:
    """One charger until it goes."""
    kind = V16 if socket.subprotocol == "ocpp1.6" else V201
    path = socket.request.path if socket.request else ""
    with suppress(ConnectionClosed):
        await kind(path.rpartition("/")[2], socket).start()


async def main(port: int) -> None:
    """Serve until killed."""
    offered = [Subprotocol("ocpp1.6"), Subprotocol("ocpp2.0.1")]
    async with websockets.serve(on_connect, "127.0.0.1", port, subprotocols=offered, backlog=4096):
        await asyncio.get_running_loop().create_future()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
