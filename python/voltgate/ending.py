"""How tasks end that wait for NATS.

nats-py waits for answers by ``asyncio.wait_for``. In Python 3.11 it returns an answer that comes together
with a cancellation, and drops the cancellation: the task would go on, and who awaits its end would wait for
ever.
"""

import asyncio
from collections.abc import Iterable
from typing import Any

_AGAIN = 1.0  # seconds until a task that has not ended is cancelled once more


async def ended(tasks: Iterable["asyncio.Task[Any]"]) -> None:
    """Cancel tasks until each has ended; what one has raised stays in it."""
    tasks = list(tasks)
    while waiting := [task for task in tasks if not task.done()]:
        for task in waiting:
            task.cancel()
        await asyncio.wait(waiting, timeout=_AGAIN)


def uncancelled() -> None:
    """Raise CancelledError in a task that was cancelled and goes on: for loops cancelled only once."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
