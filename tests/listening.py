"""A TCP server of a test's own, which leaves no connection behind."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any

Served = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[Any, Any, None]]


@asynccontextmanager
async def listening(served: Served, port: int = 0) -> AsyncIterator[int]:
    """Its port. At the end every connection is aborted, also where ``served`` has not begun."""
    writers = list[asyncio.StreamWriter]()

    # No coroutine: a task that is cancelled before its first step never closes its connection.
    def came(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Coroutine[Any, Any, None]:
        writers.append(writer)
        return served(reader, writer)

    server = await asyncio.start_server(came, "127.0.0.1", port)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for writer in writers:
            writer.transport.abort()
        for writer in writers:
            with suppress(OSError):
                await writer.wait_closed()
