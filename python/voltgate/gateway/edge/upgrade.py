"""One socket from its first byte to the 101, or to its refusal. Afterwards a :class:`Connection` has it.

    head  --complete--> deciding --accept--> 101, handed over to a Connection
      |                    |-----refuse----> 4xx or 503, closed
      |                    +--no match-----> 101 and Close 1002 (``unmatched = "close"``)
      |--not HTTP---------> 4xx, closed
      |--TLS--------------> closed
      +--handshake_timeout in one state--> reset

While the request is decided the socket is not read, and bytes behind the head wait here: ``ServerProtocol``
would parse frames and answer pings before the upgrade is granted.
"""

import asyncio
from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from typing import cast

from websockets.http11 import Request, Response
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

from voltgate._core import Codec
from voltgate.gateway.edge import head
from voltgate.gateway.edge.connection import Connection
from voltgate.gateway.edge.paced import Stage
from voltgate.gateway.edge.sansio import release, server_protocol
from voltgate.gateway.edge.socket import Shared, Socket, peer_of
from voltgate.gateway.reasons import Reason, Refusal
from voltgate.gateway.registry.record import Quirk


class Upgrade(Socket):
    """``decide(upgrade)`` is called once, when the request is complete.

    It calls :meth:`refuse` or :meth:`close_unmatched`, or :meth:`prepare` and then :meth:`accept`, at once or
    later.
    """

    __slots__ = (
        "_accepts", "_behind", "_decide", "_head", "_protocol", "_response", "_since", "identity", "request",
    )  # fmt: skip

    request: Request
    _response: Response

    def __init__(
        self, shared: Shared, decide: Callable[["Upgrade"], None], accepts: Callable[[str], bool]
    ) -> None:
        """``accepts(peer)``: whether a socket just accepted may stay; it counts those that may not."""
        super().__init__(shared)
        self._decide, self._accepts = decide, accepts
        self._head: bytearray | None = bytearray()  # None: complete, or refused
        self._behind = b""  # bytes after the head
        self._protocol: ServerProtocol = server_protocol(shared.limits.max_message_bytes)
        self.identity: str | None = None  # where the request names a legal one

    @property
    def transport(self) -> asyncio.Transport:
        """The socket's; it knows the charger's address and its TLS."""
        return self._transport

    # -- asyncio.Protocol ---------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A socket was accepted; PROXY header, TLS and request must be complete in ``handshake_timeout``."""
        self._transport = transport = cast(asyncio.Transport, transport)  # uvloop's is not a subclass
        self.peer = peer_of(transport)
        shared, limits = self._shared, self._shared.limits
        self._since = shared.clock.read()
        shared.open.add(self)
        shared.upgrading += 1
        if not self._accepts(self.peer):
            self.abort()
            return
        if shared.upgrading > limits.max_handshakes:
            # File descriptors are the scarcest resource in a storm: no answer, the charger dials again.
            self._count("sockets")
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
        if not self._head:
            self.peer = peer_of(self._transport)  # a PROXY header has named another meanwhile
        self._head += data
        if self._head.startswith((b"\r", b"\n")):
            self._head = self._head.lstrip(b"\r\n")
        if self._head.startswith(head.TLS_HANDSHAKE):
            self._head = None
            self._count(Refusal.TLS_ON_PLAIN.label)
            self._linger()
        elif fault := head.fault_of_line(self._head):
            self._unreadable(fault)
        elif end := head.end_of(self._head):
            self._read(bytes(self._head), end)
        elif len(self._head) > head.MAX_BYTES:
            self._unreadable(Refusal.HEAD_TOO_LARGE)

    def connection_lost(self, error: Exception | None) -> None:
        """The charger hung up, or was refused."""
        self._shared.upgrading -= 1
        super().connection_lost(error)
        release(self._protocol)

    def _read(self, data: bytes, size: int) -> None:
        self._transport.pause_reading()
        self._head, self._behind = None, data[size:]
        # From here on it waits for us: a charger that was slow, or met a storm, must not dial again for that.
        self._cancel_check()
        self._check = self._shared.clock.after(self._shared.limits.handshake_timeout, self._timed_out)
        self._shared.paced.run(Stage.REQUEST, partial(self._judge, data[:size]))

    def _judge(self, request_head: bytes) -> None:
        if self.gone:
            return
        protocol = self._protocol
        protocol.receive_data(head.strict(request_head))
        match protocol.events_received():
            case [Request() as request]:
                self.request, self.identity = request, head.identity_of(request.path)
                fault = head.fault(request)
                self._decide(self) if fault is None else self.refuse(fault)
            case _:
                self._unreadable(head.refusal_of(protocol.handshake_exc))

    def _timed_out(self) -> None:
        self.peer = peer_of(self._transport)
        self._count("timeout")
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
        head.tolerate(request)
        self._response = protocol.accept(request)
        if self._response.status_code == 101:
            return True
        self.refuse(head.refusal_of(protocol.handshake_exc))
        return False

    def accept(self, codec: Codec, quirks: frozenset[Quirk] = frozenset()) -> Connection:
        """Send the 101 that was prepared and hand the socket over; call :meth:`Connection.start` next."""
        shared = self._shared
        self._cancel_check()
        self._protocol.send_response(self._response)
        self._flush(self._protocol)
        shared.metrics.handshake_seconds.cell().observe(shared.clock.read() - self._since)
        connection = Connection(self, self._protocol, codec, quirks)
        connection.behind_head(self._behind)
        shared.upgrading -= 1
        shared.open.discard(self)
        shared.open.add(connection)
        self._transport.set_protocol(connection)
        return connection

    def close_unmatched(self, refusal: Refusal) -> None:
        """A 101 without subprotocol, then Close 1002 at once (docs/ocpp.md A2)."""
        ended = Reason.UNMATCHED
        self._count(refusal.label)
        self._shared.metrics.disconnects.add(ended.label)
        self._protocol.send_response(self._response)
        self._protocol.send_close(ended.value.code, ended.value.text)
        self._flush(self._protocol)
        self._linger()

    def refuse(self, refusal: Refusal) -> None:
        """Send the answer that ``refusal`` names and close."""
        answer = refusal.value
        response = self._protocol.reject(answer.status, answer.text + "\n")
        for name, value in answer.fields():
            response.headers[name] = value
        self._protocol.send_response(response)
        self._count(refusal.label)
        self._behind = b""
        self._flush(self._protocol)
        self._linger()

    def _unreadable(self, refusal: Refusal) -> None:
        """Answer bytes of which ``ServerProtocol`` can make no request; it closes some without an answer."""
        self._head, self._behind = None, b""
        self._count(refusal.label)
        status, text = HTTPStatus(refusal.value.status), refusal.value.text + "\n"
        lines = [
            f"HTTP/1.1 {status.value} {status.phrase}",
            "Connection: close",
            f"Content-Length: {len(text)}",
        ]
        self._transport.write("\r\n".join([*lines, "", text]).encode())
        self._linger()

    def _count(self, label: str) -> None:
        """One more that was not accepted."""
        self._shared.refused(self.peer, self.identity, label)
