"""Passwords judged as a listener asks for it, and slow hashes without a process of their own."""

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import NamedTuple

from voltgate.gateway.registry.credentials import Judgement, Passwords
from voltgate.gateway.registry.hasher import kept, passes_slow
from voltgate.gateway.registry.hashing import Answered, Hashed
from voltgate.gateway.registry.record import Known


class Threads:
    """hashing.Hasher, of the functions that ``hasher`` calls: in a thread."""

    def __init__(self, threads: int = 1) -> None:
        self.threads = threads
        self._pool = ThreadPoolExecutor(threads)

    def check(self, hashes: Sequence[str], password: bytes, answered: Answered) -> None:
        self._ask(partial(passes_slow, hashes, password), answered)

    def keep(self, password: bytes, random: bool, hashes: Sequence[str], answered: Answered) -> None:
        self._ask(partial(kept, password, random, hashes), answered)

    def _ask(self, work: Callable[[], str | None], answered: Answered) -> None:
        def timed() -> Hashed:
            began = time.monotonic()
            return Hashed(work(), time.monotonic() - began)

        asked = asyncio.get_running_loop().run_in_executor(self._pool, timed)
        asked.add_done_callback(lambda done: None if done.cancelled() else answered(done.result()))

    async def stop(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)


class Attempt(NamedTuple):
    """credentials.Attempt."""

    address: str
    at: float


async def judged(
    passwords: Passwords, charger: Known | None, password: bytes, address: str = "1.1.1.1"
) -> Judgement:
    verdict: asyncio.Future[Judgement] = asyncio.get_running_loop().create_future()
    passwords.judge(charger, password, Attempt(address, time.monotonic()), verdict.set_result)
    return await verdict
