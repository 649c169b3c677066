"""The passwords of one process, with a turning wheel."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from judging import Threads
from voltgate.gateway.clock import TICK, Wheel
from voltgate.gateway.registry.credentials import Passwords


@pytest.fixture
async def passwords() -> AsyncIterator[Passwords]:
    clock = Wheel(time.monotonic, time.time)
    made = Passwords(Threads(), 3, 2, clock)

    async def turn() -> None:
        while True:
            await asyncio.sleep(TICK)
            clock.advance()

    turning = asyncio.create_task(turn())
    yield made
    turning.cancel()
    await made.stop()
