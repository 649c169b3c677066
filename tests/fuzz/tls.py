"""Random bytes at a listener with TLS, before, among and in place of the records of a real client.

A byte of :data:`CLIENT` lets the client go on, or spoils its next record; every other byte is itself, on the
socket. Nothing is raised, and a socket whose upgrade was not accepted is closed before its deadline.
"""

import ssl
import tempfile
from contextlib import suppress
from functools import cache
from pathlib import Path

from certificates import Authority
from frames import FIN, TEXT, frame
from fuzz.listener import BEAT, LOGIN, Listening, play
from voltgate.gateway.edge.secured import Handshakes, Secured
from voltgate.gateway.edge.tls import Failure, Files, build
from voltgate.gateway.edge.upgrade import Upgrade
from wire import Wire, request

# What the client does: its handshake, the request, a message, a spoiled record, its close.
SHAKE, ASK, SAY, SPOIL, UNWRAP = CLIENT = range(0xE0, 0xE5)


@cache
def contexts() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Of the listener, and of the client."""
    with tempfile.TemporaryDirectory() as folder:
        authority = Authority(Path(folder))
        ours = build(Files((authority.issue("server").pair,))).context
        return ours, ssl.create_default_context(cafile=authority.file)


class Client:
    """A real TLS client whose records go wherever a test sends them."""

    def __init__(self, wire: Wire, context: ssl.SSLContext) -> None:
        self._wire, self._seen = wire, 0
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._in, self._out, server_hostname="localhost")
        self._spoils = False

    def act(self, what: int) -> bytes:
        """The records that it sends then."""
        self._in.write(self._wire.written[self._seen :])
        self._seen = len(self._wire.written)
        with suppress(ssl.SSLError, OSError):  # it is not that far, or has given up
            if what == SHAKE:
                self._tls.do_handshake()
            elif what == ASK:
                self._tls.write(request(Authorization=LOGIN))
            elif what == SAY:
                self._tls.write(frame(FIN | TEXT, BEAT))
            elif what == SPOIL:
                self._spoils = True
            else:
                self._tls.unwrap()
        data = bytearray(self._out.read())
        if data and self._spoils and what != SPOIL:
            self._spoils = False
            data[len(data) // 2] ^= 1
        return bytes(data)


def one(data: bytes) -> None:
    """Raises where a rule does not hold for ``data``."""
    entry = Listening()
    ours, theirs = contexts()
    failed: list[Failure] = []
    done: list[str] = []
    handshakes = Handshakes(
        entry.shared.paced,
        entry.soon.append,
        lambda version, _: done.append(version),
        lambda failure, _: failed.append(failure),
    )
    wire = Wire(Secured(Upgrade(entry.shared, entry.listener.decide, entry.accept), ours, handshakes))
    client = Client(wire, theirs)

    def send(chunk: bytes) -> None:
        raw = b""
        for byte in chunk:
            if byte in CLIENT:
                if raw:
                    wire.send(raw)
                raw = b""
                if not wire.is_closing() and (records := client.act(byte)):
                    wire.send(records)
                entry.settle()
            else:
                raw += bytes([byte])
        if raw and not wire.is_closing():
            wire.send(raw)

    play(entry, wire, data, send)
    assert len(failed) + len(done) <= 1, "a handshake ends once"
    assert done or not entry.receivers, "nothing is accepted before its handshake"
