"""One websocket of a charger, without a task, queue or future, so that a process can have thousands.

websockets' Sans-I/O ``ClientProtocol`` implements RFC 6455; this class moves its bytes, without any OCPP.
The owner of a wire gets exactly one of ``refused`` and ``lost`` at its end, unless it called
:meth:`Wire.drop`: a closing wire is aborted after ``CLOSE_TIMEOUT``.
"""

import asyncio
import logging
import socket
import ssl
import struct
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Protocol, cast
from urllib.parse import quote

from websockets.client import ClientProtocol
from websockets.frames import CONT, PONG, TEXT, Frame
from websockets.http11 import Response
from websockets.protocol import CLOSED, CLOSING, OPEN
from websockets.typing import Subprotocol
from websockets.uri import parse_uri

from voltgate.charger.settings import Endpoint, Settings
from voltgate.schemas import SUBPROTOCOLS

CLOSE_TIMEOUT = 2.0

_SILENT = logging.getLogger("voltgate.charger.websockets")
_SILENT.setLevel(logging.CRITICAL + 1)
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why an upgrade did not succeed. ``status`` is 0 without an HTTP answer."""

    reason: str
    status: int = 0
    retry_after: float | None = None
    """Seconds, if the answer has them."""

    @property
    def final(self) -> bool:
        """Whether another attempt would get the same answer."""
        return 400 <= self.status < 500


def why(error: Exception) -> str:
    """The reason of a failed connect; some errors of TLS have no text of their own."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"TLS: certificate not accepted: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        reason = getattr(error, "reason", None) or (str(error) if error.args else "the handshake failed")
        return f"TLS: {reason.replace('_', ' ').lower()}"
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


class Owner(Protocol):
    """Callbacks for the upgrade's outcome, text messages, pongs, and the end."""

    def opened(self) -> None: ...  # noqa: D102
    def refused(self, refusal: Refusal) -> None: ...  # noqa: D102
    def received(self, message: bytes) -> None: ...  # noqa: D102
    def ponged(self) -> None: ...  # noqa: D102
    def lost(self, reason: str) -> None: ...  # noqa: D102


class Wire(asyncio.Protocol):
    """See the module."""

    __slots__ = ("_abort", "_closed", "_fragments", "_opened", "_owner", "_protocol", "_transport")

    def __init__(self, endpoint: Endpoint, settings: Settings, password: bytes | None, owner: Owner) -> None:
        self._owner: Owner | None = owner
        uri = parse_uri(f"{endpoint.url.rstrip('/')}/{quote(settings.identity, safe='')}")
        self._protocol = ClientProtocol(
            uri,
            subprotocols=[Subprotocol(SUBPROTOCOLS[settings.version])],
            logger=_SILENT,
        )
        request = self._protocol.connect()
        if password is not None:
            login = settings.identity.encode() + b":" + password
            request.headers["Authorization"] = f"Basic {b64encode(login).decode()}"
        self._protocol.send_request(request)
        self._transport: asyncio.Transport | None = None
        self._abort: asyncio.TimerHandle | None = None
        self._opened = False
        self._closed: Callable[[], None] | None = None
        self._fragments: list[bytes] = []

    async def connect(self, endpoint: Endpoint, context: ssl.SSLContext | None) -> None:
        """Connect TCP, and TLS for ``wss``. Raises OSError, or ValueError for a bad host.

        ``context``: None is the default one.
        """
        uri = self._protocol.uri
        await asyncio.get_running_loop().create_connection(
            lambda: self,
            endpoint.address or uri.host,
            uri.port,
            ssl=(context or True) if uri.secure else None,
            server_hostname=uri.host if uri.secure else None,
            local_addr=(endpoint.source, 0) if endpoint.source else None,
        )

    @property
    def open(self) -> bool:
        """Whether messages can be sent."""
        return self._protocol.state is OPEN

    def send(self, text: bytes) -> None:
        """Send a text message; ignored unless the wire is open."""
        if self.open:
            self._protocol.send_text(text)
            self._flush()

    def ping(self) -> None:
        """Send a ping; ``ponged`` follows if the peer is alive."""
        if self.open:
            self._protocol.send_ping(b"")
            self._flush()

    def close(self) -> None:
        """Start the close handshake; ``lost`` follows within ``CLOSE_TIMEOUT``."""
        if self.open:
            self._protocol.send_close(1000)
            self._flush()
            self._end()

    def drop(self) -> None:
        """Reset the connection, like a power failure. No callback follows."""
        self._owner = None
        if self._transport is not None:
            sock = self._transport.get_extra_info("socket")
            if sock is not None:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
            self._transport.abort()

    def fall_silent(self, closed: Callable[[], None]) -> None:
        """Stay connected and send nothing more, not even pongs; ``closed`` is called when the peer closes."""
        self._owner, self._closed = None, closed

    # -- asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """TCP (or TLS) is connected: send the upgrade request."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's transport has the same methods
        if self._owner is None:  # dropped meanwhile
            self._transport.abort()
            return
        self._flush()

    def data_received(self, data: bytes) -> None:
        """Bytes from the CSMS."""
        if self._closed is not None:
            return
        self._protocol.receive_data(data)
        self._flush()
        for event in self._protocol.events_received():
            if isinstance(event, Response):
                self._answered(event)
            elif isinstance(event, Frame):
                self._framed(event)
        failed = self._protocol.handshake_exc is not None
        if (self._protocol.close_rcvd is not None or failed) and self._transport is not None:
            self._transport.close()  # do not wait for the CSMS to close first
        if self._protocol.state in (CLOSING, CLOSED) or failed:
            self._end()

    def eof_received(self) -> bool | None:
        """The transport closes."""
        if self._closed is not None:
            return None
        self._protocol.receive_eof()
        self._end()
        return None

    def connection_lost(self, error: Exception | None) -> None:
        """The socket is closed, by either side."""
        # The one reference cycle of a connection: gc.freeze would keep it for ever.
        self._protocol.parser.close()
        if self._abort is not None:
            self._abort.cancel()
        if self._closed is not None:
            self._closed()
        owner, self._owner = self._owner, None
        if owner is None:
            return
        if self._opened:
            code = self._protocol.close_rcvd.code if self._protocol.close_rcvd else 1006
            owner.lost(f"closed with {code}")
        else:
            owner.refused(Refusal(f"closed during the upgrade{f': {why(error)}' if error else ''}"))

    # --

    def _answered(self, response: Response) -> None:
        if self._owner is None:
            return
        if self._protocol.handshake_exc is None and self._protocol.subprotocol is not None:
            self._opened = True
            self._owner.opened()
            return
        owner, status = self._owner, response.status_code
        self.drop()
        if status == HTTPStatus.SWITCHING_PROTOCOLS:
            owner.refused(Refusal("no subprotocol agreed", HTTPStatus.BAD_REQUEST))
            return
        after = response.headers.get("Retry-After", "")
        owner.refused(Refusal(f"HTTP {status}", status, float(after) if after.isdecimal() else None))

    def _framed(self, frame: Frame) -> None:
        if self._owner is None:
            return
        if frame.opcode is PONG:
            self._owner.ponged()
        elif frame.opcode in (TEXT, CONT):
            self._fragments.append(bytes(frame.data))
            if frame.fin:
                message = b"".join(self._fragments)
                self._fragments.clear()
                self._owner.received(message)

    def _end(self) -> None:
        """Closing: give the peer ``CLOSE_TIMEOUT`` to close its side."""
        if self._transport is not None and self._abort is None:
            self._abort = asyncio.get_running_loop().call_later(CLOSE_TIMEOUT, self._transport.abort)

    def _flush(self) -> None:
        if self._transport is None:
            return
        for chunk in self._protocol.data_to_send():
            if chunk:
                self._transport.write(chunk)
            elif self._transport.can_write_eof():
                self._transport.write_eof()
