"""One charger's socket after its 101: bytes in, decoded messages out; ready-made frames in, bytes out.

Whole, plain text frames come out of the native slicer decoded, in one call. Everything else goes on to
websockets' Sans-I/O ``ServerProtocol``, which alone decides about RFC 6455 and alone writes control frames;
answers are written as they come, uncompressed. No task, queue or future per charger: the timer wheel of the
process keeps the deadlines, and everything happens in the callbacks of the transport. It knows no OCPP.

    open --close(reason)-----------------> ended --Close frame written--> lingering --> gone
      |--Close frame, or a broken frame--> ended --ServerProtocol answers--> lingering --> gone
      +--silent, not reading, or no code-> ended, socket reset --> gone

``reason`` is set from ``ended`` on: nothing is sliced, handed on or written by a session any more.
"""

import asyncio
import os
import random
import socket
from collections.abc import Callable
from typing import Protocol

import structlog
from websockets.frames import BINARY, CLOSE, CONT, TEXT, Frame
from websockets.protocol import OPEN
from websockets.server import ServerProtocol

from voltgate._core import Codec, Slicer
from voltgate._core import Frame as OcppFrame
from voltgate.gateway.edge.backlog import Backlog, Piece
from voltgate.gateway.edge.sansio import release, unread
from voltgate.gateway.edge.socket import Socket
from voltgate.gateway.reasons import Reason
from voltgate.gateway.registry.record import Quirk

log = structlog.get_logger()

# docs/contract.md 2.2, a constant: empty fragments cost their sender nothing, so bytes do not bound them.
MAX_FRAGMENTS = 1000
# TCP keepalive of a charger that must not be pinged: seconds of silence, seconds between probes, probes.
KEEPALIVE = ((socket.TCP_KEEPIDLE, 60), (socket.TCP_KEEPINTVL, 30), (socket.TCP_KEEPCNT, 4))


class Receiver(Protocol):
    """Takes the messages of a connection: the session."""

    def received(self, frame: OcppFrame) -> None:
        """One whole text message, decoded."""

    def ended(self) -> None:
        """The socket is gone, or about to be."""


class _Over:
    """In the place of slicer and session once the conversation is over: what still arrives is dropped."""

    __slots__ = ()
    unfinished = 0

    def feed(self, data: bytes) -> list[Piece]:
        """Nothing, whatever comes."""
        del data
        return []

    def received(self, frame: OcppFrame) -> None:
        """See Receiver."""

    def ended(self) -> None:
        """See Receiver."""


_OVER = _Over()


class Connection(Socket):
    """See the module. Made by :class:`Upgrade`, which hands its socket over; then :meth:`start`."""

    __slots__ = (
        "_backlog", "_clock", "_codec", "_fragments", "_next_ping", "_on_end", "_probes", "_protocol",
        "_quirks", "_receiver", "_slicer", "last_seen", "reason",
    )  # fmt: skip

    def __init__(
        self, upgraded: Socket, protocol: ServerProtocol, codec: Codec, quirks: frozenset[Quirk]
    ) -> None:
        super().__init__(upgraded._shared)
        self.peer, self._transport, self._clock = upgraded.peer, upgraded._transport, self._shared.clock
        self._protocol, self._codec, self._quirks = protocol, codec, quirks
        slicer = Slicer(codec, self._shared.limits.max_message_bytes)
        self._slicer: Slicer | _Over = slicer
        self._backlog = Backlog(self._shared.buffered, self, slicer, self._transport)
        self._receiver: Receiver = _OVER
        self._fragments: list[bytes] | None = None
        self._probes: list[Callable[[], None]] = []
        self._on_end: Callable[[Connection, Reason], None] | None = None
        self._next_ping = self.last_seen = self._clock.now
        self.reason: Reason | None = None
        self._transport.set_write_buffer_limits(high=self._shared.limits.max_unread_bytes)

    def behind_head(self, data: bytes) -> None:
        """``data`` came in one piece with the upgrade request: it waits for :meth:`start`."""
        if data:
            self._backlog.keep(self._slicer.feed(data))

    def start(self, receiver: Receiver, on_end: "Callable[[Connection, Reason], None]") -> None:
        """Hand messages to ``receiver`` from now on; ``on_end(connection, reason)`` is called once."""
        self._receiver, self._on_end = receiver, on_end
        if "no_ping" in self._quirks:
            _keep_alive_by_tcp(self._transport)
        else:
            self._plan_ping()
        self.resume()

    # -- asyncio.Protocol ---------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        """Bytes from the charger."""
        clock, slicer, backlog = self._clock, self._slicer, self._backlog
        clock.refresh()
        self.last_seen = clock.now
        try:
            pieces = slicer.feed(data)
            if (
                len(pieces) == 1
                and not (backlog.paused or self._probes)
                and not isinstance(piece := pieces[0], bytes)
            ):
                self._receiver.received(piece)
            else:
                if self._probes and pieces:
                    self._alive()
                self._take(pieces)
        except Exception:
            self._failed()
        if backlog.paused or backlog.counted or slicer.unfinished:
            backlog.settle()

    def connection_lost(self, error: Exception | None) -> None:
        """The socket is gone, whichever side ended it."""
        super().connection_lost(error)
        self._end(Reason.CLIENT)
        release(self._protocol)

    def pause_writing(self) -> None:
        """``limits.max_unread_bytes`` of answers are not read: the charger is dropped."""
        self._reset(Reason.SLOW_READER)

    # -- messages -----------------------------------------------------------------------------------

    def _take(self, pieces: list[Piece]) -> None:
        """Hand on what the slicer made, as far as the session takes it; the rest waits."""
        for n, piece in enumerate(pieces):
            if self.reason is not None:
                return
            if self._backlog.paused:
                self._backlog.keep(pieces[n:])
                return
            if isinstance(piece, bytes):
                self._judge(piece)
            else:
                self._receiver.received(piece)

    def _failed(self) -> None:
        """A fault of ours, not the charger's: it is asked to come back, and the others go on."""
        log.exception("connection.failed", peer=self.peer)
        self.close(Reason.INTERNAL)

    def _judge(self, data: bytes) -> None:
        """Let ServerProtocol decide what is not a plain text frame: it answers pings, closes and fails."""
        protocol = self._protocol
        protocol.receive_data(data)
        for event in protocol.events_received():
            if isinstance(event, Frame) and not self._closing:
                self._frame(event)
        self._backlog.fragments(unread(protocol) + sum(map(len, self._fragments or ())))
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
        elif frame.fin:
            message, self._fragments = b"".join(self._fragments), None
            self._receiver.received(self._codec.decode(message))

    # -- interfaces.Link, interfaces.Holder ---------------------------------------------------------

    def write(self, frame: bytes) -> None:
        """See interfaces.Link."""
        if not self._closing:
            self._transport.write(frame)

    def close(self, reason: Reason) -> None:
        """See interfaces.Link."""
        if self._closing:
            return
        # Some never dial again after a Close frame (docs/ocpp.md B).
        code = None if "abort_close" in self._quirks else reason.value.code
        if code is None or self._protocol.state is not OPEN:
            self._reset(reason)
            return
        self._end(reason)
        self._protocol.send_close(code, reason.value.text)
        self._flush(self._protocol)
        self._linger()

    def pause(self) -> None:
        """See interfaces.Link."""
        self._backlog.pause()

    def resume(self) -> None:
        """See interfaces.Link."""
        if pieces := self._backlog.resume():
            try:
                self._take(pieces)
            except Exception:
                self._failed()
        self._backlog.read_on()

    def hold(self, size: int) -> None:
        """See interfaces.Link."""
        self._backlog.in_session(size)

    def probe(self, alive: Callable[[], None]) -> None:
        """See interfaces.Holder."""
        self._probes.append(alive)
        self._ping()

    def _alive(self) -> None:
        probes, self._probes = self._probes, []
        for alive in probes:
            alive()

    # -- the end ------------------------------------------------------------------------------------

    def abort(self) -> None:
        """Reset the socket, whatever state it is in."""
        self._reset(Reason.DRAIN)

    def _reset(self, reason: Reason) -> None:
        self._end(reason)
        super().abort()

    def _end(self, reason: Reason) -> None:
        """The conversation is over; only the first reason counts."""
        if self.reason is not None:
            return
        self.reason = reason
        receiver, self._receiver, self._slicer, self._fragments = self._receiver, _OVER, _OVER, None
        on_end, self._on_end = self._on_end, None
        self._backlog.end()
        receiver.ended()
        if on_end is not None:
            on_end(self, reason)

    # -- keepalive ----------------------------------------------------------------------------------

    def limits_changed(self) -> None:
        """The new intervals count from now on: silence that was allowed so far ends no connection."""
        super().limits_changed()
        if self._check is not None and not self._closing:
            self._check.cancel()
            self._plan_ping()

    def _plan_ping(self) -> None:
        interval, self.last_seen = self._shared.limits.ping_interval, self._clock.now
        self._next_ping = self.last_seen + interval * random.uniform(0.5, 1.0)  # noqa: S311 - jitter
        self._keep_alive()

    def _keep_alive(self) -> None:
        """Ping when due; reset after ``ping_interval`` + ``ping_timeout`` of silence (docs/ocpp.md A19)."""
        if self._closing:
            return
        limits, now = self._shared.limits, self._clock.now
        silent_at = self.last_seen + limits.ping_interval + limits.ping_timeout
        if now >= silent_at:
            self._reset(Reason.SILENT)
            return
        if now >= self._next_ping:
            self._next_ping = now + limits.ping_interval
            self._ping()
        self._check = self._clock.after(min(self._next_ping, silent_at) - now, self._keep_alive)

    def _ping(self) -> None:
        """Send a ping, and read its answer also while the session has paused the connection."""
        if self._protocol.state is OPEN and not self._closing:
            self._protocol.send_ping(b"")
            self._flush(self._protocol)
            self._backlog.listen()


def _keep_alive_by_tcp(transport: asyncio.Transport) -> None:
    """Let the kernel watch a charger that must not be pinged: a peer that is gone ends in three minutes."""
    inner = transport.get_extra_info("socket")
    with socket.socket(fileno=os.dup(inner.fileno())) as sock:  # the loop's own has no options
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in KEEPALIVE:
            sock.setsockopt(socket.IPPROTO_TCP, option, value)
