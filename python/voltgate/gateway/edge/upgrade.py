"""One socket from its first byte to the 101, or to its refusal. Afterwards a :class:`Connection` has it.

    head  --complete--> deciding --accept--> 101, handed over to a Connection
      |                    |-----refuse----> 4xx or 503, closed
      |                    +--no match-----> 101 and Close 1002 (``unmatched = "close"``)
      +--handshake_timeout, from any state--> reset

While the request is decided the socket is not read, and bytes behind the head wait here: ``ServerProtocol``
would parse frames and answer pings before the upgrade is granted.
"""

import asyncio
import random
from collections.abc import Callable
from typing import cast

import structlog
from websockets.exceptions import InvalidMessage
from websockets.http11 import Request, Response
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

from voltgate._core import Codec
from voltgate.gateway.edge.connection import Connection
from voltgate.gateway.edge.sansio import release, server_protocol
from voltgate.gateway.edge.socket import Shared, Socket
from voltgate.gateway.reasons import Reason, Refusal
from voltgate.gateway.registry.record import Quirk

log = structlog.get_logger()

MAX_HEAD_BYTES = 32_768  # of an upgrade request; a constant, like the bounds of websockets for its lines


class Upgrade(Socket):
    """``decide(upgrade)`` is called once, when the request is complete.

    It calls :meth:`refuse` or :meth:`close_unmatched`, or :meth:`prepare` and then :meth:`accept`, at once or
    later.
    """

    __slots__ = ("_behind", "_decide", "_head", "_protocol", "_response", "request")

    request: Request
    _protocol: ServerProtocol
    _response: Response

    def __init__(self, shared: Shared, decide: Callable[["Upgrade"], None]) -> None:
        super().__init__(shared)
        self._decide = decide
        self._head: bytearray | None = bytearray()  # None: complete
        self._behind = b""  # bytes after the head

    # -- asyncio.Protocol ---------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A TCP (or TLS) connection is open; the upgrade must be complete in ``handshake_timeout``."""
        self._transport = transport = cast(asyncio.Transport, transport)  # uvloop's is not a subclass
        peer = transport.get_extra_info("peername")
        self.peer = f"{peer[0]}:{peer[1]}" if isinstance(peer, tuple) else str(peer or "")
        shared, limits = self._shared, self._shared.limits
        shared.open.add(self)
        if len(shared.open) > limits.max_connections + limits.max_handshakes:
            # File descriptors are the scarcest resource in a storm: no answer, the charger dials again.
            shared.metrics.handshakes.add("sockets")
            self.abort()
            return
        self._check = shared.clock.after(limits.handshake_timeout, self._timed_out)

    def data_received(self, data: bytes) -> None:
        """Bytes of the request, or some that were read before the pause took effect."""
        if self._closing:
            return
        if self._head is None:
            self._behind += data
            return
        self._head += data
        end = self._head.find(b"\r\n\r\n")
        if end >= 0 or len(self._head) > MAX_HEAD_BYTES:
            self._transport.pause_reading()
            self._read(bytes(self._head), end + 4 if end >= 0 else len(self._head))

    def connection_lost(self, error: Exception | None) -> None:
        """The charger hung up, or was refused."""
        super().connection_lost(error)
        if self._head is None:
            release(self._protocol)

    def _read(self, data: bytes, size: int) -> None:
        self._head, self._behind = None, data[size:]
        self._shared.clock.refresh()
        self._protocol = protocol = server_protocol(self._shared.limits.max_message_bytes)
        protocol.receive_data(data[:size])
        match protocol.events_received():
            case [Request() as request]:
                self.request = request
                self._decide(self)
            case _ if protocol.handshake_exc is None:  # no end within MAX_HEAD_BYTES
                self.refuse(Refusal.BAD_REQUEST)
            case _:
                self._refused(Refusal.BAD_REQUEST)

    def _timed_out(self) -> None:
        self._shared.metrics.handshakes.add("timeout")
        self.abort()

    # -- the decision -------------------------------------------------------------------------------

    def prepare(self, subprotocol: str | None) -> bool:
        """Make the 101 with ``subprotocol`` (None: without one); False: refused, not a websocket upgrade."""
        protocol, request = self._protocol, self.request
        # The listener has read this header more leniently than RFC 6455 11.3.4 writes it, and has chosen.
        if "Sec-WebSocket-Protocol" in request.headers:
            del request.headers["Sec-WebSocket-Protocol"]
        if subprotocol is not None:
            request.headers["Sec-WebSocket-Protocol"] = subprotocol
            protocol.available_subprotocols = [Subprotocol(subprotocol)]
        self._response = protocol.accept(request)
        if self._response.status_code == 101:
            return True
        protocol.send_response(self._response)
        self._refused(Refusal.BAD_REQUEST)
        return False

    def accept(self, codec: Codec, quirks: frozenset[Quirk] = frozenset()) -> Connection:
        """Send the 101 that was prepared and hand the socket over; call :meth:`Connection.start` next."""
        shared = self._shared
        self._cancel_check()
        self._protocol.send_response(self._response)
        self._flush(self._protocol)
        connection = Connection(self, self._protocol, codec, quirks)
        connection.behind_head(self._behind)
        shared.open.discard(self)
        shared.open.add(connection)
        self._transport.set_protocol(connection)
        return connection

    def close_unmatched(self, refusal: Refusal) -> None:
        """A 101 without subprotocol, then Close 1002 at once (docs/ocpp.md A2)."""
        ended, metrics = Reason.UNMATCHED, self._shared.metrics
        metrics.handshakes.add(refusal.label)
        metrics.disconnects.add(ended.label)
        self._protocol.send_response(self._response)
        self._protocol.send_close(ended.value.code, ended.value.text)
        self._flush(self._protocol)
        self._linger()

    def refuse(self, refusal: Refusal) -> None:
        """Send the answer that ``refusal`` names and close."""
        answer = refusal.value
        response = self._protocol.reject(answer.status, answer.text + "\n")
        if answer.retry is not None:
            response.headers["Retry-After"] = str(random.randint(*answer.retry))  # noqa: S311 - jitter
        if answer.status == 401:
            response.headers["WWW-Authenticate"] = 'Basic realm="voltgate"'
        self._protocol.send_response(response)
        self._refused(refusal)

    def _refused(self, refusal: Refusal) -> None:
        self._shared.metrics.handshakes.add(refusal.label)
        log.debug("upgrade.refused", reason=refusal.label, peer=self.peer)
        self._behind = b""
        if isinstance(self._protocol.handshake_exc, InvalidMessage):
            # websockets closes without an answer where the bytes were not HTTP.
            text = refusal.value.text.encode() + b"\n"
            head = b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: %d\r\n\r\n"
            self._transport.write(head % len(text) + text)
        self._flush(self._protocol)
        self._linger()
