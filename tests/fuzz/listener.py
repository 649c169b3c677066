"""Random bytes, in random chunks, on a socket of a listener: until its upgrade, and as a websocket behind it.

A byte of :data:`STEPS` stands for something whole, which chance does not find, or for what happens meanwhile;
every other byte is itself. Whatever comes, nothing is raised, and a socket that was not accepted is closed
before the deadline of its upgrade.
"""

from base64 import b64encode
from collections.abc import Callable, Iterator

from frames import CONT, FIN, PING, TEXT, frame
from gateway.edge.test_listener import KEY, Entry
from voltgate.gateway.edge.listener import Admission
from voltgate.gateway.edge.proxied import ProxiedTransport
from voltgate.gateway.edge.proxy import SIGNATURE, TrustedProxies
from voltgate.gateway.edge.upgrade import Upgrade
from wire import CODEC, Receiver, Wire, request

LIMIT = 1024  # bytes of a message
LOGIN = f"Basic {b64encode(f'CP1:{KEY}'.encode()).decode()}"
BEAT = b'[2,"1","Heartbeat",{}]'
PROXY = SIGNATURE + b"\x21\x11\x00\x0c" + bytes((192, 0, 2, 7, 192, 0, 2, 8)) + b"\x10\x00\x01\xbb"
STEPS: dict[int, bytes] = {
    0xF0: request(Authorization=LOGIN),
    0xF1: request(
        protocols="ocpp9, ocpp1.6", Sec_WebSocket_Extensions="permessage-deflate", Authorization=LOGIN
    ),
    0xF2: frame(FIN | TEXT, BEAT),
    0xF3: frame(TEXT, BEAT[:9]) + frame(FIN | CONT, BEAT[9:]),
    0xF4: frame(FIN | PING, b"ping"),
    0xF5: frame(FIN | 8, b"\x03\xe8"),
    0xF6: PROXY,
    0xF7: b"",  # what came so far is one chunk
}
TURN, TIME, END, LOST = range(0xF8, 0xFC)  # of the loop, a second, of the stream, of the socket
DEADLINES = 30  # seconds: header and TLS, request, decision, and what is read of a refused socket


class Listening(Entry):
    """A listener whose chargers have a receiver that keeps what they say."""

    def __init__(self, behind: bool = False) -> None:
        super().__init__(limits={"max_message_bytes": LIMIT})
        self.record()
        self.receivers: list[Receiver] = []
        self._behind = behind

    def start_session(self, admission: Admission, upgrade: Upgrade, replaced: str | None) -> None:
        """The roster's part."""
        self.receivers.append(Receiver())
        upgrade.accept(CODEC).start(self.receivers[-1], lambda _, reason: None)

    def open(self) -> Wire:
        """A new socket; behind a load balancer its PROXY header is due first."""
        upgrade = Upgrade(self.shared, self.listener.decide, self.accept)
        if not self._behind:
            return Wire(upgrade)
        trusted = TrustedProxies.of(["192.0.2.1"])
        return Wire(ProxiedTransport(upgrade, trusted, lambda *_: None, lambda _: True))


def steps(data: bytes) -> Iterator[bytes | int]:
    """Chunks, and numbers of what happens between them."""
    chunk = b""
    for byte in data:
        if byte in (TURN, TIME, END, LOST):
            yield chunk
            yield byte
            chunk = b""
        elif byte in STEPS:
            yield chunk + STEPS[byte]
            chunk = b""
        else:
            chunk += bytes([byte])
    yield chunk


def leap(entry: Entry, seconds: int) -> None:
    """Let time pass in few steps, as on a machine that is busy: ticks of 50 ms take most of a run."""
    for _ in range(seconds):
        entry.time += 1.0
        entry.clock.advance()


def play(entry: Listening, wire: Wire, data: bytes, send: Callable[[bytes], None]) -> None:
    """Let the steps of ``data`` happen, then all deadlines pass."""
    for step in steps(data):
        if wire.lost:
            break
        match step:
            case bytes():
                if step and not wire.is_closing():
                    send(step)
            case 0xF8:
                entry.turn()
            case 0xF9:
                leap(entry, 1)
            case 0xFA:
                if not wire.is_closing() and not wire.protocol.eof_received():
                    wire.close()
            case _:
                wire.lose()
        if wire.is_closing() and not wire.lost:
            wire.lose()  # as a loop does in its next turn
    entry.settle()
    if not wire.is_closing():
        leap(entry, DEADLINES)
        entry.settle()
    assert wire.is_closing() or entry.receivers, "neither accepted nor closed"


def one(data: bytes) -> None:
    """Raises where a rule does not hold for ``data``; its first byte says whether a proxy is before it."""
    entry = Listening(bool(data[:1] and data[0] & 1))
    wire = entry.open()
    play(entry, wire, data[1:], wire.send)
    assert wire.written[:9] in (b"", b"HTTP/1.1 ")
    for receiver in entry.receivers:
        assert receiver.over <= 1
        assert all(len(message) <= LIMIT for message in receiver.messages)
