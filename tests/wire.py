"""The gateway's side of charger sockets in memory and in virtual time: a transport that only tests move."""

import asyncio
import socket
from collections.abc import Callable
from typing import Any, cast

from frames import FIN, frame
from voltgate._core import Frame
from voltgate.config import Limits
from voltgate.gateway.clock import Wheel
from voltgate.gateway.edge.connection import Connection
from voltgate.gateway.edge.socket import Shared
from voltgate.gateway.edge.upgrade import Upgrade
from voltgate.gateway.reasons import Reason
from voltgate.gateway.registry.record import Quirk
from voltgate.gateway.telemetry.metrics import Metrics
from voltgate.schemas import Codec
from world import EPOCH

CODEC = Codec("ocpp1.6")
TEXT, CLOSE, PING, PONG = FIN | 1, FIN | 8, FIN | 9, FIN | 10


def request(path: str = "/CP1", protocols: str | None = "ocpp1.6", **headers: str) -> bytes:
    """The head of an upgrade request; keyword arguments replace headers (``_`` is ``-``), "" removes one."""
    fields = {
        "Host": "gateway",
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Protocol": protocols or "",
    } | {name.replace("_", "-"): value for name, value in headers.items()}
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items() if value)
    return f"GET {path} HTTP/1.1\r\n{lines}\r\n".encode()


class Wire(asyncio.Transport):
    """A socket. What the charger sends is read chunk by chunk, as long as the gateway reads."""

    def __init__(self, protocol: asyncio.Protocol, **extra: Any) -> None:
        self.extra = {"peername": ("192.0.2.1", 5000)} | extra
        super().__init__(self.extra)
        self.protocol = protocol
        self.sent: list[bytes] = []  # by the charger, not read yet
        self.written = b""
        self._reading, self._reset = True, False
        self.half_closed = self.closed = self.lost = False
        self.can_half_close = True
        self.high = 0
        protocol.connection_made(self)

    # what the gateway does
    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self.protocol = cast(asyncio.Protocol, protocol)

    def get_protocol(self) -> asyncio.BaseProtocol:
        return self.protocol

    def pause_reading(self) -> None:
        self._reading = False

    def resume_reading(self) -> None:
        self._reading = True

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self.high = high or 0

    def write(self, data: bytes | bytearray | memoryview) -> None:
        assert not self.half_closed, "nothing is written after the end"
        self.written += data

    def can_write_eof(self) -> bool:
        return self.can_half_close

    def write_eof(self) -> None:
        self.half_closed = True

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self._reset = True

    def is_closing(self) -> bool:
        return self._reset or self.closed or self.lost

    def is_reading(self) -> bool:
        return self._reading

    # what tests do
    def is_reset(self) -> bool:
        """Whether the gateway has dropped the socket without a word."""
        return self._reset

    def send(self, *chunks: bytes) -> None:
        """The charger sends; the loop turns until nothing is read any more."""
        self.sent += chunks
        while self.sent and self._reading and not self._reset:
            self.protocol.data_received(self.sent.pop(0))

    def lose(self) -> None:
        """The socket is gone."""
        self.lost = True
        self.protocol.connection_lost(None)

    @property
    def head(self) -> str:
        """The head of the HTTP answer."""
        return self.written.partition(b"\r\n\r\n")[0].decode()

    def frames(self) -> list[tuple[int, bytes]]:
        """First byte and payload of the frames written since the last time, behind the HTTP answer."""
        data = self.written.partition(b"\r\n\r\n")[2] if self.written.startswith(b"HTTP/") else self.written
        self.written = b""
        found = []
        while data:
            assert data[1] < 126, "short frames only"
            found.append((data[0], data[2 : 2 + data[1]]))
            data = data[2 + data[1] :]
        return found


class Edge:
    """The process behind the sockets: its clock, limits and metrics."""

    def __init__(self, **limits: Any) -> None:
        self.time = 1000.0
        self.clock = Wheel(lambda: self.time, lambda: EPOCH + self.time - 1000.0)
        self.metrics = Metrics()
        self.accepted: list[str] = []  # peers
        self.accepts = True
        self.soon: list[Callable[[], None]] = []  # due in the next turn of the loop
        self.rests: list[float] = []  # how long queued connections wait for it, in seconds
        self.shared = Shared(self.clock, Limits(**limits), self.metrics, self.soon.append, self._later)

    def _later(self, seconds: float, run: Callable[[], None]) -> None:
        self.rests.append(seconds)
        self.soon.append(run)

    def knock(self, decide: Callable[[Upgrade], None], *chunks: bytes, **extra: Any) -> Wire:
        """A socket that has sent ``chunks``; ``extra``: what its transport knows."""
        wire = Wire(Upgrade(self.shared, decide, self.accept), **extra)
        wire.send(*chunks)
        return wire

    def accept(self, peer: str) -> bool:
        """Whether a socket may stay."""
        self.accepted.append(peer)
        return self.accepts

    def turn(self) -> None:
        """The loop turns once."""
        due, self.soon[:] = list(self.soon), []
        for run in due:
            run()

    def pass_time(self, seconds: float) -> None:
        """Let time go by, firing what is due on the way."""
        end = self.time + seconds
        while self.time < end:
            self.time = min(self.time + 0.05, end)
            self.clock.advance()

    def settle(self) -> None:
        """The loop turns until nobody has anything left to do."""
        while self.soon:
            self.turn()

    def counted(self, family: str, **labels: str) -> float:
        """The value of a counter with exactly these labels."""
        for metric in self.metrics.collect():
            for sample in metric.samples:
                if sample.name == family and sample.labels == labels | {"worker": "0"}:
                    return float(sample.value)
        return 0.0


class Receiver:
    """connection.Receiver that remembers; ``on_frame`` may do what a session does."""

    def __init__(self) -> None:
        self.messages: list[bytes] = []
        self.kept: list[tuple[bytes, int, str]] = []
        self.over = 0
        self.on_frame: Callable[[], None] = lambda: None
        self.resting = False
        self.costs: list[tuple[float, bool]] = []
        self.on_cost: Callable[[], None] = lambda: None

    def received(self, frame: Frame) -> None:
        self.messages.append(frame.raw)
        self.on_frame()

    def broken(self, frame: Frame, size: int, why: str) -> None:
        self.kept.append((frame.raw, size, why))

    def spent(self, calls: float, rest: bool) -> None:
        self.costs.append((calls, rest))
        self.on_cost()

    def ended(self) -> None:
        self.over += 1


class Charger:
    """A charger whose upgrade was accepted, and both ends of its socket."""

    def __init__(
        self,
        edge: Edge,
        *quirks: Quirk,
        behind: bytes = b"",
        plug: socket.socket | None = None,
        resting: bool = False,
        **headers: str,
    ) -> None:
        """``behind``: bytes in one chunk with the request. ``plug``: for what only the kernel can show."""
        self.receiver, self.ends = Receiver(), list[Reason]()
        self.receiver.resting = resting
        self.connection: Connection
        self._quirks = frozenset(quirks)
        self.wire = Wire(Upgrade(edge.shared, self._accept, edge.accept), socket=plug)
        self.wire.send(request(**headers) + behind)

    def _accept(self, upgrade: Upgrade) -> None:
        assert upgrade.prepare("ocpp1.6")
        self.connection = upgrade.accept(CODEC, self._quirks)
        self.connection.start(self.receiver, lambda _, reason: self.ends.append(reason))

    def send(self, *messages: bytes, first: int = TEXT) -> None:
        """Each message in a chunk of its own; a queued connection does not get its turn by itself."""
        self.wire.send(*(frame(first, message) for message in messages))
