"""One charger's socket: bytes in, decoded messages out; ready-made frames in, bytes out. Knows no OCPP.

Whole, plain text frames come out of the native slicer decoded, in one call. Everything else goes on to
websockets' Sans-I/O ``ServerProtocol``, the only judge of RFC 6455 and the only speaker of control frames;
answers are written by us, uncompressed. No task, queue or future per charger: the process's timer wheel keeps
the deadlines, and everything happens in the callbacks of the transport.
"""

import asyncio
import logging
import random
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Protocol, cast

import structlog
from websockets.exceptions import InvalidMessage
from websockets.extensions.base import ServerExtensionFactory
from websockets.frames import BINARY, CLOSE, CONT, TEXT, Frame
from websockets.http11 import Request, Response
from websockets.protocol import OPEN
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

from voltgate._core import Codec, Slicer
from voltgate._core import Frame as OcppFrame
from voltgate.config import Limits
from voltgate.gateway.clock import Timer, Wheel
from voltgate.gateway.edge import tcp
from voltgate.gateway.metrics import Metrics
from voltgate.gateway.reasons import Reason, Refusal

log = structlog.get_logger()
_SILENT = logging.getLogger("voltgate.websockets")
_SILENT.setLevel(logging.CRITICAL + 1)  # it would say "connection open" ten thousand times

MAX_FRAGMENTS = 1000  # CONTRACT 2.2; empty ones are free to the sender, so bytes are no bound
MAX_HEAD_BYTES = 32_768  # of an upgrade request
LINGER = 5.0  # seconds a closing socket may stay, so that the Close frame is read before the reset


class Talk(Protocol):
    """Who takes the messages of a connection: the session."""

    def received(self, frame: OcppFrame) -> None:
        """One whole text message, decoded."""

    def ended(self) -> None:
        """The socket is gone, or going."""


class Unfinished:
    """Bytes of messages that have begun and not ended, over all connections (``max_buffered_bytes``)."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._held: dict[Connection, int] = {}
        self.total = 0

    def set(self, connection: "Connection", size: int) -> None:
        """Note what ``connection`` holds now; beyond the limit the largest is closed with 1009."""
        before = self._held.pop(connection, 0)
        self.total += size - before
        if size:
            self._held[connection] = size
        while self.total > self.limit and self._held:
            largest = max(self._held, key=self._held.__getitem__)
            self.total -= self._held.pop(largest)
            largest.close(Reason.BUFFER_FULL)


@dataclass(slots=True)
class Shared:
    """What every connection of a worker shares; ``limits`` may be exchanged while it runs."""

    clock: Wheel
    limits: Limits
    metrics: Metrics
    unfinished: Unfinished
    extensions: list[ServerExtensionFactory]
    open: set["Connection"] = field(default_factory=set)


class Connection(asyncio.Protocol):
    """See the module.

    ``door(connection, request)`` decides an upgrade: it calls :meth:`refuse`, or :meth:`accept` and
    :meth:`start` (after :meth:`prepare`), at once or later. ``on_end(connection, reason)`` is called once
    for each started one.
    """

    __slots__ = (
        "_buffered", "_check", "_clock", "_closing", "_codec", "_door", "_fragments", "_head", "_held",
        "_held_bytes", "_in_session", "_next_ping", "_on_frame", "_paused", "_protocol", "_response",
        "_shared", "_slicer", "_transport", "_waiting", "last_seen", "on_end", "peer", "quirks", "reason",
        "talk",
    )  # fmt: skip

    def __init__(self, shared: Shared, door: Callable[["Connection", Request], None]) -> None:
        self._shared, self._door, self._clock = shared, door, shared.clock
        self._protocol: ServerProtocol | None = None  # made at the upgrade
        self._transport: asyncio.Transport
        self._codec: Codec
        self._slicer: Slicer | None = None
        self._response: Response | None = None
        self._head: bytearray | None = bytearray()
        self._held = b""  # what came behind the request's head while the upgrade is being decided
        self._fragments: list[bytes] | None = None
        self._buffered = 0
        self._paused = self._closing = False
        self._waiting: list[OcppFrame | bytes] = []  # made by the slicer, not yet taken by the session
        self._in_session = self._held_bytes = 0
        self._on_frame: list[Callable[[], None]] = []
        self._check: Timer | None = None
        self._next_ping = self.last_seen = 0.0
        self.talk: Talk | None = None
        self.on_end: Callable[[Connection, Reason], None] | None = None
        self.reason: Reason | None = None
        self.peer = ""
        self.quirks: Collection[str] = ()  # of the charger's record

    # -- asyncio.Protocol ---------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A TCP (or TLS) connection stands; the upgrade must follow in ``handshake_timeout``."""
        self._transport = transport = cast(asyncio.Transport, transport)  # uvloop's is one in all but name
        transport.set_write_buffer_limits(high=self._shared.limits.max_unread_bytes)
        peer = transport.get_extra_info("peername")
        self.peer = f"{peer[0]}:{peer[1]}" if isinstance(peer, tuple) else str(peer or "")
        shared = self._shared
        shared.open.add(self)
        if len(shared.open) > shared.limits.max_connections + shared.limits.max_handshakes:
            # Descriptors are the scarcest thing there is in a storm: no answer, the charger dials again.
            shared.metrics.handshakes.add("sockets")
            self._abort(Reason.CLIENT)
            return
        timeout = self._shared.limits.handshake_timeout
        self._check = self._shared.clock.after(timeout, self._handshake_timed_out)

    def data_received(self, data: bytes) -> None:
        """Bytes from the charger."""
        clock, slicer = self._clock, self._slicer
        clock.refresh()
        self.last_seen = clock.now
        if slicer is None:
            self._early(data)
            return
        try:
            pieces = slicer.feed(data)
            if self._waiting or self._on_frame:
                self._heard(pieces)
            elif len(pieces) == 1 and not self._paused and not isinstance(piece := pieces[0], bytes):
                self.talk.received(piece)  # type: ignore[union-attr]  # there is one as long as a slicer
            else:
                self._take(pieces)
        except Exception:
            self._failed()
        if self._held_bytes or slicer.unfinished or self._waiting:
            self._account()
        if self._paused and not self._closing:
            self._transport.pause_reading()

    def _early(self, data: bytes) -> None:
        """Before the 101, or after a Close: what lingers is not looked at."""
        if self._closing:
            return
        if self._head is not None:
            self._read_head(data)
        else:
            self._held += data  # read before the pause took hold

    def eof_received(self) -> bool | None:
        """The charger sends no more: the transport closes."""
        return None

    def connection_lost(self, error: Exception | None) -> None:
        """The socket is gone, whoever ended it."""
        del error
        self._shared.open.discard(self)
        self._shared.unfinished.set(self, 0)
        self._closing = True
        if self._check is not None:
            self._check.cancel()
        self._end(Reason.CLIENT)
        if self._protocol is not None:
            # Its parser is a generator that holds it: a cycle the garbage collector need not look for.
            self._protocol.parser = None  # type: ignore[assignment]
            self._protocol = None

    def pause_writing(self) -> None:
        """``max_unread_bytes`` of answers lie unread: the charger is dropped."""
        self._abort(Reason.SLOW_READER)

    # -- the upgrade --------------------------------------------------------------------------------

    def _read_head(self, data: bytes) -> None:
        assert self._head is not None
        self._head += data
        end = self._head.find(b"\r\n\r\n")
        if end < 0 and len(self._head) <= MAX_HEAD_BYTES:
            return
        # Until the 101 is out nothing behind the head may reach ServerProtocol: it would answer pings.
        self._transport.pause_reading()
        head, self._held = (
            bytes(self._head[: end + 4] if end >= 0 else self._head),
            bytes(self._head[end + 4 :]),
        )
        self._head = None
        limit = self._shared.limits.max_message_bytes
        protocol = ServerProtocol(extensions=self._shared.extensions, max_size=limit, logger=_SILENT)
        self._protocol = protocol
        protocol.receive_data(head)
        requests = protocol.events_received()
        if requests and isinstance(requests[0], Request):
            self._door(self, requests[0])
        else:
            self._refused(Refusal.BAD_REQUEST)

    def prepare(self, request: Request, subprotocol: str | None) -> bool:
        """Make the 101 with ``subprotocol`` (None: without any), or refuse what is no websocket upgrade."""
        protocol = self._protocol
        assert protocol is not None
        # The listener has read the header more leniently than RFC 6455 writes it (OCPP.md B), and has chosen.
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

    def accept(self) -> None:
        """Send the 101 that was prepared."""
        assert self._protocol is not None
        assert self._response is not None
        self._protocol.send_response(self._response)
        self._response = None
        self._flush(self._protocol)

    def start(self, talk: Talk, codec: Codec, on_end: "Callable[[Connection, Reason], None]") -> None:
        """The upgrade is done: messages go through ``codec`` to ``talk`` from now on."""
        limits, clock = self._shared.limits, self._shared.clock
        self.talk, self._codec, self.on_end = talk, codec, on_end
        self._slicer = Slicer(codec, limits.max_message_bytes)
        self.last_seen = clock.now
        self._next_ping = clock.now + limits.ping_interval * random.uniform(0.5, 1.0)  # noqa: S311 - jitter
        if self._check is not None:
            self._check.cancel()
        if "no_ping" in self.quirks:
            tcp.watch(self._transport)
        else:
            self._keep_alive()
        self._transport.resume_reading()
        held, self._held = self._held, b""
        if held:
            self.data_received(held)

    def close_unmatched(self, refusal: Refusal) -> None:
        """A 101 without subprotocol, then Close 1002 at once (OCPP.md A2)."""
        self.accept()
        self._shared.metrics.handshakes.add(refusal.label)
        self._shared.metrics.disconnects.add(Reason.UNMATCHED.label)
        self.close(Reason.UNMATCHED)

    def refuse(self, refusal: Refusal) -> None:
        """Answer the upgrade with what ``refusal`` names and hang up."""
        protocol, refused = self._protocol, refusal.value
        assert protocol is not None
        response = protocol.reject(refused.status, refused.text + "\n")
        if refused.retry is not None:
            response.headers["Retry-After"] = str(random.randint(*refused.retry))  # noqa: S311 - jitter
        if refused.status == 401:
            response.headers["WWW-Authenticate"] = 'Basic realm="voltgate"'
        protocol.send_response(response)
        self._refused(refusal)

    def _refused(self, refusal: Refusal) -> None:
        self._shared.metrics.handshakes.add(refusal.label)
        log.debug("handshake.refused", result=refusal.label, peer=self.peer)
        self._held = b""
        protocol = self._protocol
        assert protocol is not None
        if isinstance(protocol.handshake_exc, InvalidMessage):
            # What was no HTTP at all is answered too.
            text = refusal.value.text.encode() + b"\n"
            head = b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: %d\r\n\r\n"
            self._transport.write(head % len(text) + text)
        self._flush(protocol)
        self._linger()

    def _handshake_timed_out(self) -> None:
        self._shared.metrics.handshakes.add("timeout")
        self._abort(Reason.CLIENT)

    @property
    def gone(self) -> bool:
        """Whether the socket is closed or closing."""
        return self._closing or self._transport.is_closing()

    # -- messages -----------------------------------------------------------------------------------

    def _heard(self, pieces: list[OcppFrame | bytes]) -> None:
        if pieces and self._on_frame:
            heard, self._on_frame = self._on_frame, []
            for call in heard:
                call()
        if self._waiting:
            self._waiting += pieces
        else:
            self._take(pieces)

    def _take(self, pieces: list[OcppFrame | bytes]) -> None:
        """Hand on what the slicer made, as far as the session takes it; the rest waits as it is."""
        for n, piece in enumerate(pieces):
            if self._closing or self.talk is None:
                return
            if self._paused:
                self._waiting = pieces[n:]
                return
            if isinstance(piece, bytes):
                self._judge(piece)
            else:
                self.talk.received(piece)

    def _failed(self) -> None:
        """Our own fault, never the charger's: it is told to come back, and the others go on."""
        log.exception("session.failed", peer=self.peer)
        self.close(Reason.INTERNAL)

    def _account(self) -> None:
        """Tell ``max_buffered_bytes`` what is held here and not yet answered."""
        held = 0
        if not self._closing and self._slicer is not None:
            waiting = sum(len(piece if isinstance(piece, bytes) else piece.raw) for piece in self._waiting)
            held = self._slicer.unfinished + self._buffered + self._in_session + waiting
        self._held_bytes = held
        self._shared.unfinished.set(self, held)

    def _judge(self, data: bytes) -> None:
        """What is no plain text frame: ServerProtocol decides, answers pings and closes, and fails."""
        protocol = self._protocol
        assert protocol is not None
        protocol.receive_data(data)
        for event in protocol.events_received():
            if isinstance(event, Frame) and not self._closing:
                self._frame(event)
        before = self._buffered
        self._buffered = len(protocol.reader.buffer) + sum(map(len, self._fragments or ()))
        if before != self._buffered:
            self._account()
        if protocol.parser_exc is not None:
            self._end(Reason.PROTOCOL)
        self._flush(protocol)

    def _frame(self, frame: Frame) -> None:
        if frame.opcode is TEXT:
            self._fragments = [bytes(frame.data)]
        elif frame.opcode is CONT and self._fragments is not None:
            self._fragments.append(bytes(frame.data))
        elif frame.opcode is BINARY:
            self.close(Reason.BINARY)
        elif frame.opcode is CLOSE:
            self._end(Reason.CLIENT)
        if self._fragments is None or frame.opcode not in (TEXT, CONT):
            return
        if len(self._fragments) > MAX_FRAGMENTS:
            self.close(Reason.FRAGMENTS)
        elif frame.fin and self.talk is not None:
            message, self._fragments = b"".join(self._fragments), None
            self.talk.received(self._codec.decode(message))

    # -- ports.Link ---------------------------------------------------------------------------------

    def write(self, frame: bytes) -> None:
        """See ports.Link."""
        if not self._closing:
            self._transport.write(frame)

    def close(self, reason: Reason) -> None:
        """See ports.Link."""
        protocol = self._protocol
        if self._closing:
            return
        # Some never dial again after a Close frame (OCPP.md B).
        code = None if "abort_close" in self.quirks else reason.value.code
        if code is None or protocol is None or protocol.state is not OPEN:
            self._abort(reason)
            return
        self._end(reason)
        protocol.send_close(code, reason.value.text)
        self._flush(protocol)
        self._linger()

    def pause(self) -> None:
        """See ports.Link."""
        self._paused = True
        self._transport.pause_reading()

    def resume(self) -> None:
        """See ports.Link."""
        self._paused = False
        waiting, self._waiting = self._waiting, []
        if waiting:
            try:
                self._take(waiting)
            except Exception:
                self._failed()
            self._account()
        if not (self._paused or self._closing):
            self._transport.resume_reading()

    def hold(self, size: int) -> None:
        """See ports.Link."""
        self._in_session = size
        self._account()

    def probe(self, heard: Callable[[], None]) -> None:
        """Send a ping and call ``heard`` at the next sign of life (CONTRACT 3.6)."""
        self._on_frame.append(heard)
        self._ping()
        self._listen()

    # -- the end ------------------------------------------------------------------------------------

    def _flush(self, protocol: ServerProtocol) -> None:
        for data in protocol.data_to_send():
            if data:
                self._transport.write(data)
            else:
                self._linger()

    def _linger(self) -> None:
        """Half-close and wait for the charger's side: a plain close would reset what it has not yet read."""
        if self._closing:
            return
        self._closing = True
        self._stop_talking()
        if self._transport.can_write_eof():
            self._transport.write_eof()
            self._transport.resume_reading()
            if self._check is not None:
                self._check.cancel()
            self._check = self._shared.clock.after(LINGER, self._transport.abort)
        else:
            self._transport.close()

    def abort(self) -> None:
        """Reset the socket, whatever state it is in."""
        self._abort(Reason.DRAIN)

    def _abort(self, reason: Reason) -> None:
        self._end(reason)
        self._closing = True
        self._stop_talking()
        self._transport.abort()

    def _end(self, reason: Reason) -> None:
        """The conversation is over: say so once, with the first reason there was."""
        if self.reason is None:
            self.reason = reason
            self._stop_talking()
            if self.on_end is not None:
                self.on_end(self, reason)

    def _stop_talking(self) -> None:
        talk, self.talk = self.talk, None
        self._fragments, self._buffered, self._slicer, self._waiting = None, 0, None, []
        if talk is not None:
            talk.ended()

    # -- keepalive ----------------------------------------------------------------------------------

    def _keep_alive(self) -> None:
        """Ping when it is time; hang up when silent ``ping_interval`` + ``ping_timeout`` (OCPP.md A19)."""
        if self._closing:
            return
        limits, now = self._shared.limits, self._shared.clock.now
        silent_at = self.last_seen + limits.ping_interval + limits.ping_timeout
        if now >= silent_at:
            self._abort(Reason.SILENT)
            return
        if now >= self._next_ping:
            self._next_ping = now + limits.ping_interval
            self._ping()
            self._listen()
        self._check = self._shared.clock.after(min(self._next_ping, silent_at) - now, self._keep_alive)

    def _listen(self) -> None:
        """A charger held back by its session cannot be heard: read one chunk, or the end of its socket."""
        if self._paused and not self._closing:
            self._transport.resume_reading()

    def _ping(self) -> None:
        if self._protocol is not None and self._protocol.state is OPEN and not self._closing:
            self._protocol.send_ping(b"")
            self._flush(self._protocol)
