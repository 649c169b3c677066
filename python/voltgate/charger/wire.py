"""One websocket of a charger in a swarm: no task, queue or future, so that a process carries thousands.

websockets' Sans-I/O ``ClientProtocol`` judges and speaks RFC 6455; this moves its bytes. Knows no OCPP.
Neither compression nor pings of its own: the gateway pings, and is answered.
"""

import asyncio
import logging
import socket
import struct
from base64 import b64encode
from dataclasses import dataclass
from http import HTTPStatus
from typing import Protocol, cast

from websockets.client import ClientProtocol
from websockets.frames import CONT, TEXT, Frame
from websockets.http11 import Response
from websockets.protocol import OPEN
from websockets.typing import Subprotocol
from websockets.uri import WebSocketURI

_SILENT = logging.getLogger("voltgate.charger.websockets")
_SILENT.setLevel(logging.CRITICAL + 1)
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why an upgrade did not succeed. ``status`` is 0 where no HTTP answer came."""

    reason: str
    status: int = 0
    retry_after: float | None = None
    """Seconds, where the answer names them."""

    @property
    def final(self) -> bool:
        """Whether asking again would get the same answer."""
        return 400 <= self.status < 500


class Talk(Protocol):
    """Who converses over a wire."""

    def opened(self) -> None:
        """The upgrade succeeded."""

    def refused(self, refusal: Refusal) -> None:
        """It did not; the wire is gone."""

    def received(self, message: bytes) -> None:
        """One whole text message."""

    def lost(self, reason: str) -> None:
        """An opened wire is gone."""


class Wire(asyncio.Protocol):
    """See the module. Made for :meth:`asyncio.loop.create_connection`."""

    __slots__ = ("_connected", "_fragments", "_open", "_protocol", "_talk", "_transport")

    def __init__(self, uri: WebSocketURI, subprotocol: str, login: bytes | None, talk: Talk) -> None:
        self._talk: Talk | None = talk
        self._protocol = ClientProtocol(uri, subprotocols=[Subprotocol(subprotocol)], logger=_SILENT)
        request = self._protocol.connect()
        if login is not None:
            request.headers["Authorization"] = f"Basic {b64encode(login).decode()}"
        self._protocol.send_request(request)
        self._transport: asyncio.Transport  # from connection_made on
        self._connected = False
        self._open = False
        self._fragments: list[bytes] = []

    def send(self, text: bytes) -> None:
        """One text message."""
        self._protocol.send_text(text)
        self._flush()

    def close(self) -> None:
        """End it cleanly."""
        if self._protocol.state is OPEN:
            self._protocol.send_close(1000)
            self._flush()

    def drop(self) -> None:
        """Reset it, as when the power goes; nobody is told any more."""
        self._talk = None
        if not self._connected:
            return
        sock = self._transport.get_extra_info("socket")
        if sock is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        self._transport.abort()

    # -- asyncio.Protocol ---------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """TCP (or TLS) stands: ask for the upgrade."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one in all but name
        self._connected = True
        if self._talk is None:  # dropped meanwhile
            self._transport.abort()
            return
        self._flush()

    def data_received(self, data: bytes) -> None:
        """Bytes from the gateway."""
        self._protocol.receive_data(data)
        self._flush()
        for event in self._protocol.events_received():
            if isinstance(event, Response):
                self._answered(event)
            elif isinstance(event, Frame):
                self._framed(event)
        if self._protocol.close_rcvd is not None or self._protocol.handshake_exc is not None:
            self._transport.close()  # a gateway that leaves this to us must not hold us

    def eof_received(self) -> bool | None:
        """The transport closes."""
        self._protocol.receive_eof()
        return None

    def connection_lost(self, error: Exception | None) -> None:
        """The socket is gone, whoever ended it."""
        # The one cycle of a connection: frozen objects (gc.freeze) would never be found again.
        self._protocol.parser.close()
        talk, self._talk = self._talk, None
        if talk is None:
            return
        if self._open:
            code = self._protocol.close_rcvd.code if self._protocol.close_rcvd else 1006
            talk.lost(f"closed with {code}")
        else:
            talk.refused(Refusal(f"closed during the upgrade{f': {error}' if error else ''}"))

    # -----------------------------------------------------------------------------------------------

    def _answered(self, response: Response) -> None:
        talk = self._talk
        if talk is None:
            return
        if self._protocol.handshake_exc is None and self._protocol.subprotocol is not None:
            self._open = True
            talk.opened()
            return
        self._talk = None
        self._transport.abort()
        status = response.status_code
        if status == HTTPStatus.SWITCHING_PROTOCOLS:
            talk.refused(Refusal("no subprotocol agreed", HTTPStatus.BAD_REQUEST))
            return
        after = response.headers.get("Retry-After", "")
        seconds = float(after) if after.isdecimal() else None
        talk.refused(Refusal(f"HTTP {status}", status, seconds))

    def _framed(self, frame: Frame) -> None:
        if frame.opcode is TEXT and frame.fin:
            message = bytes(frame.data)
        elif frame.opcode in (TEXT, CONT):
            self._fragments.append(bytes(frame.data))
            if not frame.fin:
                return
            message = b"".join(self._fragments)
            self._fragments.clear()
        else:
            return
        if self._talk is not None:
            self._talk.received(message)

    def _flush(self) -> None:
        for chunk in self._protocol.data_to_send():
            if chunk:
                self._transport.write(chunk)
            elif self._transport.can_write_eof():
                self._transport.write_eof()
