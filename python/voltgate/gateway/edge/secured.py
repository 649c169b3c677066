"""TLS between a socket's transport and its protocol: bytes of records in, bytes of the charger out.

    handshake --complete--> open --close_notify or end of the stream, either side--> closed
        |                     |
        +--failed, reset------+--a record that cannot be read--> closed

The loop's own TLS is not used: its handshakes cannot be paced (a full one takes 1 ms of CPU, and all that
arrive in one turn of the loop are done in that turn) and fail unreported, and a message costs more. Here each
handshake waits for its turn (``paced``). ``inner`` is made at the accept: its deadline includes it.
"""

import asyncio
import ssl
from collections.abc import Callable
from contextlib import suppress
from enum import Enum, auto
from typing import Any, cast

from voltgate.allocator import give_back
from voltgate.gateway.edge.paced import Paced, Stage
from voltgate.gateway.edge.socket import peer_of
from voltgate.gateway.edge.tls import Failure, Peer, failure, peer

# Connections whose memory is returned together, some 1 MB: that takes less than a millisecond.
GIVEN_BACK = 64
RECORD = 16_384  # bytes; what one record holds at most (RFC 8446 5.1)


class Handshakes:
    """The handshakes of a process, in the order in which their bytes arrived, and how they ended.

    ``soon`` calls back in the next turn of the loop. ``done(version, resumed)`` and ``failed(failure, peer)``
    are called for each that ended by itself; those that were reset are counted where they were.
    """

    def __init__(
        self,
        paced: Paced,
        soon: Callable[[Callable[[], None]], object],
        done: Callable[[str, bool], None],
        failed: Callable[[Failure, str], None],
    ) -> None:
        self._paced, self._freed = paced, 0
        self.soon, self.done, self.failed = soon, done, failed

    def add(self, secured: "Secured") -> None:
        """Let ``secured`` take its next step soon."""
        self._paced.wait(Stage.HANDSHAKE if secured.begun else Stage.HELLO, secured.step)

    def freed(self) -> None:
        """One more connection is freed; what OpenSSL had for it is in small blocks."""
        self._freed += 1
        if self._freed % GIVEN_BACK == 0:
            self.soon(give_back)


class _State(Enum):
    HANDSHAKE = auto()
    OPEN = auto()
    CLOSED = auto()  # nothing more is written


class Secured(asyncio.Transport, asyncio.Protocol):
    """The protocol of a transport, and the transport of ``inner``.

    ``get_extra_info`` knows ``tls_version`` and ``client_certificate`` (:class:`tls.Peer` or None) from the
    first byte on; everything else is that of the transport below.
    """

    __slots__ = (
        "_handshakes", "_in", "_inner", "_out", "_paused", "_raw", "_state", "_tls", "begun",
    )  # fmt: skip

    _raw: asyncio.Transport

    def __init__(self, inner: asyncio.Protocol, context: ssl.SSLContext, handshakes: Handshakes) -> None:
        self._inner: asyncio.Protocol | None = inner
        self._handshakes = handshakes
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._in, self._out, server_side=True)
        self._state = _State.HANDSHAKE
        self._paused = False
        self.begun = False  # the charger's hello was answered: most of the CPU is spent

    def __del__(self) -> None:
        """Only now OpenSSL's memory is free: a session may hold it until its last fact is stored."""
        self._handshakes.freed()

    # -- the protocol of the transport below --------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The socket was accepted."""
        self._raw = cast(asyncio.Transport, transport)
        assert self._inner is not None  # until connection_lost
        self._inner.connection_made(self)

    def data_received(self, data: bytes) -> None:
        """Bytes of records."""
        self._in.write(data)
        if self._state is _State.HANDSHAKE:
            self._raw.pause_reading()  # so that what waits for its turn is one read
            self._handshakes.add(self)
        else:
            self._read()

    def eof_received(self) -> bool | None:
        """The end of the stream, with or without a close_notify: a websocket has its own."""
        return self._inner.eof_received() if self._inner is not None else None

    def pause_writing(self) -> None:
        """The charger does not read."""
        if self._inner is not None:
            self._inner.pause_writing()

    def resume_writing(self) -> None:
        """It reads again."""
        if self._inner is not None:
            self._inner.resume_writing()

    def connection_lost(self, error: Exception | None) -> None:
        """The socket is gone, whichever side ended it."""
        self._state = _State.CLOSED
        inner, self._inner = self._inner, None  # else the two would be a reference cycle
        if inner is not None:
            inner.connection_lost(error)

    # -- the handshake and records ------------------------------------------------------------------

    def step(self) -> None:
        """Go on with the handshake as far as the bytes reach."""
        if self._state is not _State.HANDSHAKE or self._raw.is_closing():
            return
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            self.begun = self.begun or bool(self._out.pending)
            self._flush()
            self._raw.resume_reading()
        except ssl.SSLError as error:
            self._flush()  # the alert says why
            self._handshakes.failed(failure(error), peer_of(self._raw))
            self._state = _State.CLOSED
            self._raw.close()
        else:
            self._flush()
            self._state = _State.OPEN
            self._handshakes.done(self._tls.version() or "", bool(self._tls.session_reused))
            if not self._paused:
                self._raw.resume_reading()
            self._read()

    def _read(self) -> None:
        """Pass on what whole records there are, until reading is paused."""
        tls = self._tls
        try:
            while not self._paused and (inner := self._inner) is not None:
                data = tls.read(RECORD)
                if not data:  # a close_notify
                    self.close()
                    return
                inner.data_received(data)
                if not self._in.pending and not tls.pending():
                    break
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError:
            self.abort()
            return
        if self._out.pending:  # the answer to a key update
            self._flush()

    def _flush(self) -> None:
        if data := self._out.read():
            self._raw.write(data)

    def _end_records(self) -> None:
        """Send the close_notify."""
        if self._state is _State.OPEN:
            with suppress(ssl.SSLError):  # it wants the other side's, which nobody waits for
                self._tls.unwrap()
            self._flush()
        self._state = _State.CLOSED

    # -- the transport of the inner protocol --------------------------------------------------------

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send ``data`` in records; not before the handshake, which only ends."""
        if self._state is not _State.OPEN:
            return
        sent = self._tls.write(data)
        while sent < len(data):  # a record each
            sent += self._tls.write(memoryview(data)[sent:])
        self._raw.write(self._out.read())

    def pause_reading(self) -> None:
        """Deliver nothing until :meth:`resume_reading`."""
        self._paused = True
        self._raw.pause_reading()

    def resume_reading(self) -> None:
        """Deliver what has arrived, and go on reading."""
        if self._paused:
            self._paused = False
            self._handshakes.soon(self._resume)

    def _resume(self) -> None:
        if not self._paused and not self._raw.is_closing():
            self._read()
            if not self._paused:
                self._raw.resume_reading()

    def can_write_eof(self) -> bool:
        """Half-closing is possible: a close_notify, then the end of the stream."""
        return self._raw.can_write_eof()

    def write_eof(self) -> None:
        """Say that nothing more follows; what arrives is still read."""
        self._end_records()
        self._raw.write_eof()

    def close(self) -> None:
        """Send what is buffered and a close_notify, then close."""
        self._end_records()
        self._raw.close()

    def abort(self) -> None:
        """Reset the socket."""
        self._state = _State.CLOSED
        self._raw.abort()

    def is_closing(self) -> bool:
        """Whether the socket is closed or closing."""
        return self._raw.is_closing()

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Deliver to ``protocol`` from now on."""
        self._inner = cast(asyncio.Protocol, protocol)

    def get_protocol(self) -> asyncio.BaseProtocol:
        """What it delivers to."""
        assert self._inner is not None  # until connection_lost
        return self._inner

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """As the transport below counts, in bytes of records."""
        self._raw.set_write_buffer_limits(high, low)

    def get_write_buffer_size(self) -> int:
        """Bytes of records that wait."""
        return self._raw.get_write_buffer_size()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """See the class."""
        match name:
            case "tls_version":
                return self._tls.version()
            case "client_certificate":
                return self._client
            case _:
                return self._raw.get_extra_info(name, default)

    @property
    def _client(self) -> Peer | None:
        return peer(self._tls) if self._state is not _State.HANDSHAKE else None
