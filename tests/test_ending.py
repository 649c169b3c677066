"""Tasks whose cancellation is dropped on the way, as ``asyncio.wait_for`` of Python 3.11 does."""

import asyncio
from contextlib import suppress

from voltgate.ending import ended, uncancelled


async def dropping() -> None:
    """Goes on after its first cancellation."""
    with suppress(asyncio.CancelledError):
        await asyncio.Event().wait()
    await asyncio.Event().wait()


async def test_a_task_that_has_lost_a_cancellation_is_cancelled_again() -> None:
    tasks = [asyncio.create_task(dropping()) for _ in range(2)]
    await asyncio.sleep(0)
    await ended(tasks)
    assert all(task.cancelled() for task in tasks)


async def test_what_a_task_has_raised_stays_in_it() -> None:
    async def failing() -> None:
        raise ValueError

    task = asyncio.create_task(failing())
    await asyncio.sleep(0)
    await ended([task])
    assert isinstance(task.exception(), ValueError)


async def test_a_cancellation_that_was_dropped_on_the_way_ends_a_task_at_its_next_step() -> None:
    async def follow() -> None:
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        uncancelled()
        await asyncio.Event().wait()

    task = asyncio.create_task(follow())
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task], timeout=10)
    assert task.cancelled()
