"""The process of slow hashes, as its worker sees it: a real one."""

import asyncio
import os
import signal
from collections.abc import Callable

import psutil
import pytest
from argon2 import PasswordHasher

from voltgate.gateway.registry import hasher, hashing
from voltgate.gateway.registry.hasher import hash_password
from voltgate.gateway.registry.hashing import Hashed, Hashing

PASSWORD = b"chosen by a person"
MEMORY = 1 << 18  # KiB; the most that a hash may take


async def checked(asked: Hashing, hash_: str, password: bytes = PASSWORD) -> Hashed | None:
    answered: asyncio.Future[Hashed | None] = asyncio.get_running_loop().create_future()
    asked.check([hash_], password, answered.set_result)
    return await answered


Started = Callable[[], list[psutil.Process]]


@pytest.fixture
def started() -> Started:
    """The processes that the test has started; a gateway of other tests may have one too."""

    def running() -> set[psutil.Process]:
        return {one for one in psutil.Process().children() if hasher.__name__ in one.cmdline()}

    before = running()
    return lambda: [*(running() - before)]


async def test_questions_are_answered_by_a_process_that_a_worker_ends(
    started: Started, monkeypatch: pytest.MonkeyPatch
) -> None:
    hash_, asked = hash_password(PASSWORD), Hashing(2)
    assert not started(), "not needed yet"
    some = await asyncio.gather(checked(asked, hash_), checked(asked, hash_, b"guess"), checked(asked, hash_))
    assert [one.hash if one else "?" for one in some] == [hash_, None, hash_]
    (helper,) = started()
    assert helper.nice() > psutil.Process().nice(), "connected chargers come first"
    for ending in (signal.SIGINT, signal.SIGTERM):  # of a terminal, or of a service that drains
        os.kill(helper.pid, ending)
    assert await checked(asked, hash_) is not None
    # Who cancels twice does it at once, as if the process were slow to end.
    monkeypatch.setattr("voltgate.ending._AGAIN", 0.0)
    await asked.stop()
    assert not psutil.pid_exists(helper.pid), "it was waited for"


async def test_when_the_process_is_killed_the_questions_are_not_and_another_one_starts(
    started: Started, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hashing, "AGAIN", 0.0)
    hash_, asked = hash_password(PASSWORD), Hashing(1)
    assert await checked(asked, hash_) is not None
    (helper,) = started()
    helper.suspend()
    waiting = asyncio.ensure_future(checked(asked, hash_))
    await asyncio.sleep(0)
    helper.kill()
    assert await waiting is None
    while (found := await checked(asked, hash_)) is None:
        await asyncio.sleep(0)
    assert found.hash == hash_
    await asked.stop()


async def test_without_memory_for_a_hash_nobody_waits(started: Started) -> None:
    """That question has no answer; the others have theirs."""
    asked, small = Hashing(1), hash_password(PASSWORD)
    large = PasswordHasher(time_cost=1, memory_cost=MEMORY, parallelism=1).hash(PASSWORD)
    assert await checked(asked, small) is not None
    (helper,) = started()
    room = helper.memory_info().vms + MEMORY // 2 * 1024
    helper.rlimit(psutil.RLIMIT_AS, (room, room))
    assert await checked(asked, large) is None
    assert (await checked(asked, small) or Hashed(None, 0)).hash == small
    await asked.stop()


async def test_where_none_can_be_started_nobody_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.executable", "/nowhere/python")
    asked = Hashing(1)
    assert await checked(asked, hash_password(PASSWORD)) is None
    assert await checked(asked, hash_password(PASSWORD)) is None, "it is not tried again at once"
    await asked.stop()


async def test_it_ends_with_its_worker(started: Started) -> None:
    """Its standard input ends, also when the worker is killed."""
    asked = Hashing(1)
    await checked(asked, hash_password(PASSWORD))
    assert asked._stdin is not None
    (helper,) = started()
    asked._stdin.close()
    assert await asyncio.to_thread(psutil.wait_procs, [helper], 10) == ([helper], [])
    await asked.stop()
