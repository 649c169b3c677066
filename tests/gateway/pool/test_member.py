"""One worker's place: a process that is silent, dies, or cannot be started."""

import asyncio
import sys

import pytest

from voltgate.gateway.pool.control import Hello
from voltgate.gateway.pool.member import SILENCE, START, Argv, Member

HELLO = Hello(0, [], [], {}, "")


@pytest.mark.parametrize(
    ("output", "ticks", "expectation"),
    [
        ("", START, "a start may take its time"),
        ('["beat",{"checks":{},"open":false}]\n', SILENCE, "beats must not stop"),
    ],
)
async def test_a_silent_process_is_killed(output: str, ticks: int, expectation: str) -> None:
    """After that many ticks, independent of the time between them: the supervisor may have been frozen."""
    script = "import os, sys, time; os.write(int(sys.argv[1][10:]), sys.stdin.encode()); time.sleep(60)"
    argv = Argv([sys.executable, "-c", script.replace("sys.stdin", repr(output))])
    member = Member(0, lambda _: None)
    life = asyncio.create_task(member.live(argv, lambda _: HELLO))
    async with asyncio.timeout(10):
        while member.checks()["process"] != ("" if output else "starting"):
            await asyncio.sleep(0)
    for _ in range(ticks):
        member.tick()
    before = member.silenced
    member.tick()
    assert (before, member.silenced) == (False, True), expectation
    assert await life == -9
    assert member.checks() == {"process": "not running"}


async def test_a_process_that_dies_within_a_control_message_counts_as_ended() -> None:
    script = 'import os, sys; os.write(int(sys.argv[1][10:]), b\'["beat",{"che\'); os._exit(3)'
    member = Member(0, lambda _: None)
    assert await member.live(Argv([sys.executable, "-c", script]), lambda _: HELLO) == 3
    assert await member.metrics() is None


async def test_a_process_that_cannot_be_started_is_an_error_and_leaves_an_empty_place() -> None:
    member = Member(0, lambda _: None)
    with pytest.raises(OSError, match="no such program"):
        await member.live(Argv(["/no such program"]), lambda _: HELLO)
    assert not member.running
    assert await member.metrics() is None
