"""A TCP server of a test's own, which leaves no connection behind.

asyncio's own loses those that it accepts while it is closed: ``Server._attach`` fails, and the socket stays.
"""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any

Served = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[Any, Any, None]]


class Door:
    """Accepts from the start; ``served`` may end before its connection does."""

    def __init__(self, served: Served, port: int = 0) -> None:
        self._served = served
        self._loop = asyncio.get_running_loop()
        self._opening: set[asyncio.Task[None]] = set()
        self._serving: set[asyncio.Task[None]] = set()
        self._writers: list[asyncio.StreamWriter] = []
        self._listener: socket.socket | None = None
        self.port = port
        self.open()

    def open(self) -> None:
        """Accept, on the same port as ever."""
        if self._listener is None:
            self._listener = socket.create_server(("127.0.0.1", self.port), backlog=4096)
            self._listener.setblocking(False)
            self.port = self._listener.getsockname()[1]
            self._loop.add_reader(self._listener, self._accept, self._listener)

    def close(self) -> None:
        """Refuse new connections; existing ones stay."""
        if self._listener is not None:
            self._loop.remove_reader(self._listener)
            self._listener.close()
            self._listener = None

    async def leave(self) -> None:
        """Refuse new connections, cancel who is served and abort what stands."""
        self.close()
        await asyncio.gather(*self._opening)
        for task in self._serving:
            task.cancel()
        for writer in self._writers:
            writer.transport.abort()
        await asyncio.gather(*self._serving, return_exceptions=True)
        for writer in self._writers:
            with suppress(OSError):
                await writer.wait_closed()

    def _accept(self, listener: socket.socket) -> None:
        with suppress(BlockingIOError, ConnectionAbortedError):
            self._keep(self._opening, self._open(listener.accept()[0]))

    async def _open(self, connection: socket.socket) -> None:
        reader, writer = await asyncio.open_connection(sock=connection)
        self._writers.append(writer)
        self._keep(self._serving, self._served(reader, writer))

    def _keep(self, tasks: set[asyncio.Task[None]], work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        tasks.add(task)
        task.add_done_callback(tasks.discard)


@asynccontextmanager
async def listening(served: Served, port: int = 0) -> AsyncIterator[int]:
    """Its port."""
    door = Door(served, port)
    try:
        yield door.port
    finally:
        await door.leave()
