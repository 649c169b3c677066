"""A TCP proxy that fails on purpose: slow, sliced, silent, reset, half-open or closed to newcomers.

It has a thread and a loop of its own, so it keeps running while a test blocks, and any thread may control it.
It parses neither websockets nor NATS; `aim` lets a fault strike where certain bytes pass by.
"""

import asyncio
import socket
import threading
from collections.abc import Callable, Coroutine
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar

from listening import Door

T = TypeVar("T")
_CHUNK = 65_536
_LOST = 30.0  # seconds a knob may take to turn


class Way:
    """One direction of all connections; what is set counts from the next bytes on."""

    def __init__(self, proxy: "Proxy") -> None:
        self.latency = 0.0  # seconds each chunk is late
        self.slice = 0  # bytes a piece, each written by itself; 0: as it came
        self.loses = False  # bytes, and the end of a connection, vanish
        self.passed = 0  # bytes that went on
        self._proxy = proxy
        self._open = asyncio.Event()
        self._open.set()
        self._aims: list[tuple[bytes, Callable[[], None]]] = []

    def hold(self) -> None:
        """Bytes wait here, and soon in the sender's own buffers, until :meth:`heal`."""
        self._proxy.do(self._open.clear)

    def lose(self) -> None:
        """Bytes vanish until :meth:`heal`; unnoticed by both ends."""
        self._proxy.do(lambda: setattr(self, "loses", True))

    def heal(self) -> None:
        """Everything passes again, at once and whole."""
        self._proxy.do(self._heal)

    def _heal(self) -> None:
        self.latency, self.slice, self.loses = 0.0, 0, False
        self._aims.clear()
        self._open.set()

    def aim(self, needle: bytes, strike: Callable[[], None]) -> threading.Event:
        """Call ``strike``, once and in the proxy's thread, where ``needle`` is about to go on.

        What it changes meets these very bytes. The event is set when it has struck.
        """
        struck = threading.Event()

        def once() -> None:
            strike()
            struck.set()

        self._proxy.do(lambda: self._aims.append((needle, once)))
        return struck

    def _watch(self, tail: bytes, chunk: bytes) -> bytes:
        """Strike where it is due; gives what the next chunk may complete to a needle."""
        seen = tail + chunk
        for aim in [aim for aim in self._aims if aim[0] in seen]:
            self._aims.remove(aim)
            aim[1]()
            seen = b""
        longest = max((len(needle) for needle, _ in self._aims), default=1)
        return seen[-longest + 1 :] if longest > 1 else b""

    async def carry(self, link: "_Link", reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take bytes on until one end has no more; then say so to the other, unless that is lost too."""
        tail, chunk = b"", b"-"
        while chunk:
            chunk = await reader.read(_CHUNK)
            tail = self._watch(tail, chunk)
            if self.latency:
                await asyncio.sleep(self.latency)
            await self._open.wait()
            if link.deaf or self.loses:
                continue
            if not chunk:
                writer.write_eof()
                return
            size = self.slice or len(chunk)
            for start in range(0, len(chunk), size):
                writer.write(chunk[start : start + size])
                await writer.drain()
                if self.slice:
                    await asyncio.sleep(0)  # so that no two pieces leave as one
            self.passed += len(chunk)


class _Link:
    """One connection through the proxy: the near end dialled the proxy, the proxy dialled the far end."""

    def __init__(self, near: asyncio.StreamWriter) -> None:
        self.near = near
        self.far: asyncio.StreamWriter | None = None  # until we have dialled
        self.deaf = False  # nothing passes any more, unnoticed by both ends
        self.cut = False

    def reset(self) -> None:
        """RST to both ends; to the far one also where it is still being dialled."""
        self.cut = True
        rst(self.near)
        self.leave()

    def leave(self) -> None:
        """RST to the far end."""
        if self.far is not None:
            rst(self.far)


class Proxy:
    """In front of ``port`` on 127.0.0.1: ``up`` goes there, ``down`` comes back. Dial :attr:`port`."""

    def __init__(self, port: int) -> None:
        self._to = port
        self._loop = asyncio.new_event_loop()
        self._links: set[_Link] = set()
        self.up, self.down = Way(self), Way(self)
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._thread.start()
        self._door = self._await(self._open())
        self.port = self._door.port

    @property
    def nats(self) -> str:
        """The address for NATS clients."""
        return f"nats://127.0.0.1:{self.port}"

    @property
    def links(self) -> int:
        """How many connections stand, including dead ones that were not closed."""
        return len(self._links)

    # -- knobs, for any thread ------------------------------------------------------------------------

    def heal(self) -> None:
        """Both ways pass; reset or half-open connections stay so."""
        self.up.heal()
        self.down.heal()

    def hold(self) -> None:
        """A blackhole both ways in which bytes wait."""
        self.up.hold()
        self.down.hold()

    def lose(self) -> None:
        """A blackhole both ways in which bytes vanish. TCP's order is gone: reset the links afterwards."""
        self.up.lose()
        self.down.lose()

    def reset(self) -> None:
        """Cut what stands: RST to both ends."""
        self.do(self._reset)

    def half_open(self) -> None:
        """The far ends of what stands are gone, and the near ends stay open; new connections pass."""
        self.do(self._half_open)

    def refuse(self) -> None:
        """Refuse new connections; existing ones stay."""
        self.do(self._door.close)

    def accept(self) -> None:
        """Take connections, on the same port as ever."""
        self.do(self._door.open)

    def stop(self) -> None:
        """Cut everything and end the thread."""
        self._await(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_LOST)
        self._loop.close()

    def do(self, change: Callable[[], None]) -> None:
        """Run ``change`` in the proxy's thread, and return when it has happened."""

        async def changed() -> None:
            change()

        if threading.current_thread() is self._thread:
            change()
        else:
            self._await(changed())

    def _await(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(_LOST)

    # -- in the proxy's thread ------------------------------------------------------------------------

    async def _open(self) -> Door:
        return Door(self._join)

    async def _stop(self) -> None:
        self._reset()
        await self._door.leave()

    def _reset(self) -> None:
        for link in self._links:
            link.reset()

    def _half_open(self) -> None:
        for link in self._links:
            link.deaf = True
            link.leave()

    async def _join(self, reader: asyncio.StreamReader, near: asyncio.StreamWriter) -> None:
        link = _Link(near)
        self._links.add(link)
        try:
            far_reader, far = await asyncio.open_connection("127.0.0.1", self._to)
        except OSError:
            rst(near)
            self._links.discard(link)
            return
        link.far = far
        if link.cut or link.deaf:
            link.leave()
        try:
            up, down = (
                partial(self.up.carry, link, reader, far),
                partial(self.down.carry, link, far_reader, near),
            )
            await asyncio.gather(self._carry(link, up), self._carry(link, down))
        finally:
            self._links.discard(link)
            far.close()
            near.close()

    async def _carry(self, link: _Link, way: Callable[[], Coroutine[Any, Any, None]]) -> None:
        try:
            await way()
        except OSError:  # one end was cut: cut the other too, unless silent
            if link.deaf:
                return
            link.reset()


def rst(writer: asyncio.StreamWriter) -> None:
    """Close so that the other end reads a reset, not an end."""
    sock = writer.get_extra_info("socket")
    if sock is not None and sock.fileno() >= 0:
        with suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
    writer.transport.abort()
