"""One charger's socket after its 101: bytes in, decoded messages out; ready-made frames in, bytes out.

The transport calls the lane (rust/core/src/lane.rs), which answers plain CALLs itself. Other whole text
frames come out of it decoded, one a call, and go to the session. Everything else goes on to websockets'
Sans-I/O ``ServerProtocol``, which alone decides about RFC 6455 and alone writes control frames; answers are
written as they come, uncompressed. No task, queue or future per charger: the timer wheel of the process
keeps the deadlines, and everything happens in the callbacks of the transport. It knows no OCPP.

One turn of the loop takes a bounded part of what a charger has sent, whatever that is; the rest stays bytes
in the lane until its next turn (``backlog``).

    open --close(reason)-----------------> ended --Close frame written--> lingering --> gone
      |--Close frame, or a broken frame--> ended --ServerProtocol answers--> lingering --> gone
      +--silent, not reading, or no code-> ended, socket reset --> gone

``reason`` is set from ``ended`` on: nothing is sliced, handed on or written by a session any more.
"""

import random
from collections.abc import Callable

import structlog
from websockets.exceptions import PayloadTooBig
from websockets.frames import BINARY, CLOSE, CONT, PING, PONG, TEXT, Frame
from websockets.protocol import OPEN
from websockets.server import ServerProtocol

from voltgate._core import Codec, Lane
from voltgate._core import Frame as OcppFrame
from voltgate.gateway.edge import kernel
from voltgate.gateway.edge.backlog import SECONDS, Backlog
from voltgate.gateway.edge.broken import KEPT, payload_of
from voltgate.gateway.edge.paced import Stage
from voltgate.gateway.edge.receiver import OVER, Receiver
from voltgate.gateway.edge.sansio import release, unread
from voltgate.gateway.edge.socket import Socket
from voltgate.gateway.reasons import Reason
from voltgate.gateway.registry.record import Quirk

log = structlog.get_logger()

# docs/contract.md 2.2, a constant: empty fragments cost their sender nothing, so bytes do not bound them.
MAX_FRAGMENTS = 1000
# Bytes of a fragment that cost as much as a CALL, and what the smallest one costs (docs/contract.md 2.2).
FRAGMENT_BYTES, FRAGMENT_CALLS = 4096, 1 / 16
# Bytes of a fragmented message that cost a CALL more: it may have been inflated, from next to nothing.
INFLATED = 65_536


class Connection(Socket):
    """See the module. Made by :class:`Upgrade`, which hands its socket over; then :meth:`start`."""

    __slots__ = (
        "_backlog", "_clock", "_codec", "_fragment_bytes", "_fragments", "_next_ping", "_on_end", "_pong",
        "_probed", "_probes", "_protocol", "_quirks", "_receiver", "_slicing", "lane", "reason",
    )  # fmt: skip

    def __init__(
        self, upgraded: Socket, protocol: ServerProtocol, codec: Codec, quirks: frozenset[Quirk]
    ) -> None:
        super().__init__(upgraded._shared)
        self.peer, self._transport, self._clock = upgraded.peer, upgraded._transport, self._shared.clock
        self._protocol, self._codec, self._quirks = protocol, codec, quirks
        shared = self._shared
        self.lane = Lane(codec, shared.limits.max_message_bytes, "latin1" in quirks)
        """See interfaces.Link."""
        self.lane.listen(self._clock, self)
        self._backlog = Backlog(shared.buffered, shared.turns, self, self.lane, self._transport)
        self._receiver: Receiver = OVER
        self._fragments: list[bytes] | None = None
        self._fragment_bytes = 0
        self._pong = b""  # the answer to the last ping of this turn
        self._slicing = False
        self._probes: tuple[Callable[[], None], ...] = ()
        self._probed = 0  # frames before the first of them
        self._on_end: Callable[[Connection, Reason], None] | None = None
        self._next_ping = self.lane.seen = self._clock.now
        self.reason: Reason | None = None
        self._transport.set_write_buffer_limits(high=self._shared.limits.max_unread_bytes)

    def behind_head(self, data: bytes) -> None:
        """``data`` came in one piece with the upgrade request: it waits for :meth:`start`."""
        self.lane.hold(data)

    def start(self, receiver: Receiver, on_end: "Callable[[Connection, Reason], None]") -> None:
        """Hand messages to ``receiver`` from now on; ``on_end(connection, reason)`` is called once."""
        self._receiver, self._on_end = receiver, on_end
        if receiver.resting:
            self._backlog.count()
        else:
            self.resume()
        if "no_ping" in self._quirks:
            kernel.keep_alive(self._transport)
        elif not self._closing:
            self._plan_ping()  # behind resume(): whether a socket that nobody reads has hung up costs a call

    # -- asyncio.Protocol ---------------------------------------------------------------------------

    @property
    def data_received(self) -> Callable[[bytes], None]:
        """The lane's own: see _core.Lane.receive."""
        return self.lane.receive

    def take(self, data: bytes) -> None:
        """See _core._Connection."""
        clock, lane, backlog = self._clock, self.lane, self._backlog
        clock.refresh()
        if not (backlog.paused or backlog.queued or backlog.heavy):
            self.took(lane.feed(data, clock.now, clock.time_ms))
            return
        lane.hold(data)
        if not backlog.paused:
            backlog.queue()
        backlog.count()

    def took(self, piece: OcppFrame | bytes | None) -> None:
        """See _core._Connection."""
        self._slice(piece)
        self._backlog.settle(probed=bool(self._probes))

    def connection_lost(self, error: Exception | None) -> None:
        """The socket is gone, whichever side ended it; one of many, perhaps, that are lost together."""
        self._closing = True
        self._cancel_check()
        self._stop(Reason.CLIENT)
        self._shared.paced.run(Stage.END, self._gone)

    def _gone(self) -> None:
        self.settle()
        self._shared.open.discard(self)
        release(self._protocol)

    def pause_writing(self) -> None:
        """``limits.max_unread_bytes`` of answers are not read: the charger is dropped."""
        self._reset(Reason.SLOW_READER)

    # -- messages -----------------------------------------------------------------------------------

    def turn(self) -> None:
        """See backlog.Owner."""
        self._backlog.queued = False
        self._go_on()

    def _go_on(self) -> None:
        """Take what is held, and read on behind it."""
        if self._slicing or self._backlog.queued:
            return  # the session has resumed us from within, or the next turn is due
        self._clock.refresh()
        try:
            self.lane.turn()
            self.took(None)
        except Exception as fault:
            self.failed(fault)

    def _slice(self, piece: OcppFrame | bytes | None) -> None:
        """Take ``piece`` and what is held behind it, as far as the session and one turn of the loop allow."""
        clock, lane, backlog = self._clock, self.lane, self._backlog
        until, before, self._slicing = clock.now + SECONDS, lane.pieces, True
        try:
            while clock.now < until:
                if piece is None and not (backlog.paused or lane.spent):
                    piece = lane.go_on(clock.now, clock.time_ms)
                if piece is None:
                    break
                if isinstance(piece, bytes):
                    self._judge(piece)
                else:
                    self._receiver.received(piece)
                piece = None
                clock.refresh()
            if lane.spent or clock.now >= until:
                backlog.heavy = True
                if lane.unfinished:
                    backlog.queue()
            elif lane.pieces != before:
                backlog.heavy = False
            if self._probes and lane.pieces != self._probed:
                self._alive()
        finally:
            self._slicing = False
            if self._pong and not self._closing:
                self._transport.write(self._pong)
            self._pong = b""
            backlog.read()

    def failed(self, fault: BaseException) -> None:
        """A fault of ours, not the charger's: it is asked to come back, and the others go on."""
        log.error("connection.failed", peer=self.peer, exc_info=fault)
        self.close(Reason.INTERNAL)

    def _judge(self, data: bytes) -> None:
        """Let ServerProtocol decide what is not a plain text frame: it answers pings, closes and fails."""
        protocol, pings = self._protocol, False
        protocol.receive_data(data)
        for event in protocol.events_received():
            if isinstance(event, Frame) and not self._closing:
                self.lane.weigh(len(event.data))
                pings = event.opcode is PING
                self._frame(event)
        self._backlog.fragments(unread(protocol) + self._fragment_bytes)
        if protocol.parser_exc is not None and self.reason is None:
            self._judged(protocol.parser_exc, data)
        if self._closing:
            return
        if pings and self.reason is None:
            self._pong = b"".join(protocol.data_to_send())  # only the last one of a turn (RFC 6455 5.5.3)
        else:
            self._flush(protocol)

    def _judged(self, fault: Exception, data: bytes) -> None:
        """``data`` has a frame that ServerProtocol failed: it has made the Close frame."""
        reason = Reason.TOO_BIG if isinstance(fault, PayloadTooBig) else Reason.PROTOCOL
        if not self._fragments:
            front = self.lane.front  # of the next frame, unless this one failed by its header alone
            self._broken(reason, *payload_of(front if front.startswith(data) else data), str(fault))
        else:
            self._broken(reason, b"".join(self._fragments), 0, str(fault))
        if "abort_close" in self._quirks:
            self._reset(reason)
        else:
            self._end(reason)

    def _broken(self, reason: Reason, payload: bytes, size: int, why: str = "") -> None:
        """Nothing that a charger sent is lost without a trace (docs/contract.md 2.2)."""
        frame, size = self._codec.decode(payload[:KEPT]), max(size, len(payload))
        self._receiver.broken(frame, size, f"{reason.label}: {why or reason.value.text}")

    def _frame(self, frame: Frame) -> None:
        opcode, data = frame.opcode, bytes(frame.data)
        if opcode is TEXT:
            self._fragments, self._fragment_bytes = [data], len(data)
        elif opcode is CONT and self._fragments is not None:
            self._fragments.append(data)
            self._fragment_bytes += len(data)
        elif opcode is PING or opcode is PONG:
            self._receiver.spent(1.0, rest=True)
        elif opcode is BINARY:
            self._broken(Reason.BINARY, data, 0)
            self.close(Reason.BINARY)
        elif opcode is CLOSE:
            self._end(Reason.CLIENT)
        if self._fragments is None or opcode not in (TEXT, CONT):
            return
        if len(self._fragments) > MAX_FRAGMENTS:
            self._broken(Reason.FRAGMENTS, b"".join(self._fragments), 0)
            self.close(Reason.FRAGMENTS)
        elif frame.fin:
            if len(data) >= INFLATED:
                self._receiver.spent(len(data) // INFLATED, rest=False)
            message, self._fragments, self._fragment_bytes = b"".join(self._fragments), None, 0
            self._receiver.received(self._codec.decode(message, latin1="latin1" in self._quirks))
        else:
            # No rest before the end of the message: one that is large must not time out.
            self._receiver.spent(max(-(-len(data) // FRAGMENT_BYTES), FRAGMENT_CALLS), rest=False)

    # -- interfaces.Link, interfaces.Holder ---------------------------------------------------------

    @property
    def writer(self) -> Callable[[bytes], None]:
        """See interfaces.Link."""
        return self._transport.write

    def write(self, frame: bytes) -> None:
        """See interfaces.Link."""
        if not self._closing:
            self._transport.write(frame)

    def close(self, reason: Reason) -> None:
        """See interfaces.Link."""
        if self._closing:
            return
        if reason is Reason.BUFFER_FULL:
            self._overflown()
        # Some never dial again after a Close frame (docs/ocpp.md B).
        code = None if "abort_close" in self._quirks else reason.value.code
        if code is None or self._protocol.state is not OPEN:
            self._reset(reason)
            return
        self._end(reason)
        self._protocol.send_close(code, reason.value.text)
        self._flush(self._protocol)
        self._linger()

    def _overflown(self) -> None:
        """What is whole waits to be answered, and is sent again; the rest has filled the buffer."""
        payload, size = payload_of(self.lane.front)
        begun = b"".join(self._fragments or ())
        if begun or size:
            self._broken(Reason.BUFFER_FULL, begun or payload, 0 if begun else size)

    def pause(self) -> None:
        """See interfaces.Link."""
        self._backlog.pause()

    def resume(self) -> None:
        """See interfaces.Link."""
        self._backlog.paused = False
        self.lane.seen = self._clock.now
        self._go_on()

    def hold(self, size: int) -> None:
        """See interfaces.Link."""
        self._backlog.in_session(size)

    def probe(self, alive: Callable[[], None]) -> None:
        """See interfaces.Holder."""
        if self._unread and not kernel.has_hung_up(self._transport):
            alive()  # it is we who do not read its sign of life
        else:
            if not self._probes:
                self._probed, self.lane.direct = self.lane.pieces, False
            self._probes += (alive,)
            self._ping()

    @property
    def _unread(self) -> bool:
        """Whether the socket is not read, so that silence says nothing about the charger."""
        return self._backlog.paused or self._backlog.queued

    def _alive(self) -> None:
        probes, self._probes = self._probes, ()
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
        self._stop(reason)
        if reason is Reason.CLIENT:
            self._shared.paced.run(Stage.END, self.settle)
        else:
            self.settle()

    def settle(self) -> None:
        """See interfaces.Holder."""
        if self.reason is not None and self._on_end is not None:
            on_end, self._on_end = self._on_end, None
            self._shared.ending -= 1
            on_end(self, self.reason)

    def _stop(self, reason: Reason) -> None:
        """The conversation is over; only the first reason counts."""
        if self.reason is not None:
            return
        self.reason = reason
        self._shared.ending += self._on_end is not None
        receiver, self._receiver = self._receiver, OVER
        self.lane.end()
        self._fragments, self._fragment_bytes, self._pong = None, 0, b""
        self._backlog.end()
        receiver.ended()

    # -- keepalive ----------------------------------------------------------------------------------

    def limits_changed(self) -> None:
        """The new intervals count from now on: silence that was allowed so far ends no connection."""
        super().limits_changed()
        if self._check is not None and not self._closing:
            self._check.cancel()
            self._plan_ping()

    def _plan_ping(self) -> None:
        interval, self.lane.seen = self._shared.limits.ping_interval, self._clock.now
        self._next_ping = self.lane.seen + interval * random.uniform(0.5, 1.0)  # noqa: S311 - jitter
        self._keep_alive()

    def _keep_alive(self) -> None:
        """Ping when due; reset after ``ping_interval`` + ``ping_timeout`` of silence (docs/ocpp.md A19)."""
        if self._closing:
            return
        limits, now = self._shared.limits, self._clock.now
        if self._unread:
            self.lane.seen = now
            if kernel.has_hung_up(self._transport):
                self._reset(Reason.CLIENT)
                return
        silent_at = self.lane.seen + limits.ping_interval + limits.ping_timeout
        if now >= silent_at:
            self._reset(Reason.SILENT)
            return
        if now >= self._next_ping:
            self._next_ping = now + limits.ping_interval
            self._ping()
        self._check = self._clock.after(min(self._next_ping, silent_at) - now, self._keep_alive)

    def _ping(self) -> None:
        """Send a ping; its answer is read when the connection is."""
        if self._protocol.state is OPEN and not self._closing:
            self._protocol.send_ping(b"")
            self._flush(self._protocol)
