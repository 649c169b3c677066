"""The floor: the cost of an upgrade, of reading a chunk and of writing an answer in a uvloop server.

It does the upgrade with websockets, like the gateway, and then answers every chunk, unread, with one result
frame of realistic size. No decoding, no masks, no NATS: the lower bound on this event loop.
Run: ``python floor.py PORT``
"""

import asyncio
import sys

import uvloop
from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory
from websockets.http11 import Request
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

TEXT = b'[3,"00000000-0000-4000-8000-000000000000",{}]'
ANSWER = bytes([0x81, len(TEXT)]) + TEXT
DEFLATE = ServerPerMessageDeflateFactory(
    server_no_context_takeover=True,
    client_no_context_takeover=True,
    server_max_window_bits=11,
    client_max_window_bits=11,
)


class Floor(asyncio.Protocol):
    """One connection."""

    __slots__ = ("protocol", "transport", "upgraded")

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A socket is there."""
        self.transport = transport
        self.upgraded = False
        self.protocol = ServerProtocol(
            extensions=[DEFLATE], subprotocols=[Subprotocol("ocpp1.6"), Subprotocol("ocpp2.0.1")]
        )

    def data_received(self, data: bytes) -> None:
        """The upgrade's request once, then chunks."""
        if self.upgraded:
            self.transport.write(ANSWER)  # type: ignore[attr-defined]
            return
        protocol = self.protocol
        protocol.receive_data(data)
        for event in protocol.events_received():
            if isinstance(event, Request):
                protocol.send_response(protocol.accept(event))
                self.upgraded = True
        for out in protocol.data_to_send():
            self.transport.write(out)  # type: ignore[attr-defined]


async def main(port: int) -> None:
    """Serve until killed."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Floor, "127.0.0.1", port, backlog=4096)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
