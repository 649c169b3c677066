"""An accepted socket, before and after its upgrade: its transport, one deadline, and how it is closed."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from websockets.server import ServerProtocol

from voltgate.config import Limits
from voltgate.gateway.clock import Timer, Wheel, later
from voltgate.gateway.edge.backlog import Buffered, Turns
from voltgate.gateway.edge.paced import Paced
from voltgate.gateway.edge.refusals import RefusalLog
from voltgate.gateway.reasons import Reason
from voltgate.gateway.telemetry.metrics import Metrics

LINGER = 5.0  # seconds a closing socket may stay, so that the charger reads the last bytes before the reset


@dataclass(slots=True)
class Shared:
    """What every socket of a process shares. ``limits`` are replaced by :meth:`take` while it runs."""

    clock: Wheel
    limits: Limits
    metrics: Metrics
    soon: Callable[[Callable[[], None]], object] = lambda run: asyncio.get_running_loop().call_soon(run)
    """Calls back in the next turn of the loop."""
    later: Callable[[float, Callable[[], None]], object] = later
    buffered: Buffered = field(init=False)
    turns: Turns = field(init=False)
    paced: Paced = field(init=False)
    open: set["Socket"] = field(default_factory=set)
    upgrading: int = 0
    """Those of them that are not upgraded, or are being closed after a refusal."""
    ending: int = 0
    """Connections that are over, of which whoever counts them has not been told yet."""
    refusals: RefusalLog = field(default_factory=RefusalLog)

    def __post_init__(self) -> None:
        self.buffered = Buffered(self.limits)
        self.turns = Turns(self.clock, self.metrics, self.later)
        self.paced = Paced(self.clock, self.later)

    def take(self, limits: Limits) -> None:
        """Apply ``limits`` to open sockets and to new ones (docs/reference.md, "Limits")."""
        self.limits = self.buffered.limits = limits
        for socket in list(self.open):
            socket.limits_changed()

    def refused(self, peer: str, identity: str | None, label: str) -> None:
        """One more handshake that was not accepted; ``label``: its ``result``."""
        self.metrics.handshakes.add(label)
        self.refusals.note(self.clock.now, peer, identity, label)


def peer_of(transport: asyncio.BaseTransport) -> str:
    """``address:port`` of the other side."""
    peer = transport.get_extra_info("peername")
    return f"{peer[0]}:{peer[1]}" if isinstance(peer, tuple) else str(peer or "")


class Socket(asyncio.Protocol):
    """One accepted socket; in ``Shared.open`` until its transport is gone."""

    __slots__ = ("_check", "_closing", "_shared", "_transport", "peer")

    _transport: asyncio.Transport

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._check: Timer | None = None  # the next deadline: handshake, keepalive, or end of lingering
        self._closing = False
        self.peer = ""

    @property
    def gone(self) -> bool:
        """Whether the socket is closed or closing."""
        return self._closing or self._transport.is_closing()

    def close(self, reason: Reason) -> None:
        """End it; as long as there is no websocket there is no close code either."""
        del reason
        self.abort()

    def abort(self) -> None:
        """Reset the socket, whatever state it is in."""
        self._closing = True
        self._transport.abort()

    def limits_changed(self) -> None:
        """``limits`` of the process were replaced."""
        if not self.gone:
            self._transport.set_write_buffer_limits(high=self._shared.limits.max_unread_bytes)

    def eof_received(self) -> bool | None:
        """The charger sends no more: the transport closes."""
        return None

    def connection_lost(self, error: Exception | None) -> None:
        """The socket is gone, whichever side ended it."""
        del error
        self._closing = True
        self._shared.open.discard(self)
        self._cancel_check()

    def _cancel_check(self) -> None:
        if self._check is not None:
            self._check.cancel()
            self._check = None

    def _flush(self, protocol: ServerProtocol) -> None:
        """Write what ``protocol`` has to send; an empty item is its end of the stream."""
        for data in protocol.data_to_send():
            if data:
                self._transport.write(data)
            else:
                self._linger()

    def _linger(self) -> None:
        """Half-close and wait for the charger's side: a plain close would reset what it has not read yet."""
        if self._closing:
            return
        self._closing = True
        self._cancel_check()
        if self._transport.can_write_eof():
            self._transport.write_eof()
            self._transport.resume_reading()
            self._check = self._shared.clock.after(LINGER, self._transport.abort)
        else:
            self._transport.close()
