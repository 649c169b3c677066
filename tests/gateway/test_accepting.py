"""Sockets are accepted a few in a turn, and closed when nothing is left to accept them with."""

import asyncio
import resource
import socket
from collections.abc import Callable
from contextlib import ExitStack, suppress

import uvloop

from voltgate.gateway.accepting import Accepting

AT_ONCE = 7


def pace(some: Callable[[int], None]) -> None:
    """So many in the next turn."""
    asyncio.get_running_loop().call_soon(some, AT_ONCE)


class Accepted(asyncio.Protocol):
    """Counts itself."""

    made = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        type(self).made += 1
        self.transport = transport


class House:
    """A listening socket, and clients of it."""

    def __init__(self, stack: ExitStack) -> None:
        self.kind: type[Accepted] = type("Kind", (Accepted,), {"made": 0})
        self._stack = stack
        self.turned_away: list[str] = []
        listening = socket.create_server(("127.0.0.1", 0))
        self.port = listening.getsockname()[1]
        self.accepting = Accepting(listening, self.kind, pace, self.turned_away.append)
        stack.callback(self.accepting.close)

    def dial(self, count: int) -> list[str]:
        """The names of ``count`` clients, whose connects are complete while the loop does not turn."""
        address = ("127.0.0.1", self.port)
        clients = [self._stack.enter_context(socket.create_connection(address)) for _ in range(count)]
        return ["{}:{}".format(*client.getsockname()) for client in clients]

    async def until(self, count: int) -> None:
        async with asyncio.timeout(10):
            while self.kind.made < count:
                await asyncio.sleep(0)


def test_a_crowd_is_accepted_over_several_turns() -> None:
    async def run() -> None:
        with ExitStack() as stack:
            house, last, most = House(stack), 0, 0
            house.dial(5 * AT_ONCE)
            async with asyncio.timeout(10):
                while house.kind.made < 5 * AT_ONCE:
                    await asyncio.sleep(0)
                    most, last = max(most, house.kind.made - last), house.kind.made
            assert 0 < most <= AT_ONCE

    uvloop.run(run())


def test_without_a_descriptor_what_waits_is_turned_away_and_later_ones_are_accepted() -> None:
    async def run() -> None:
        with ExitStack() as stack:
            house = House(stack)
            names = house.dial(3)
            soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
            probe = socket.socket()
            resource.setrlimit(resource.RLIMIT_NOFILE, (probe.fileno(), hard))
            try:
                probe.close()  # one descriptor is left, below the limit or not
                taken = []
                with suppress(OSError):
                    while True:
                        taken.append(socket.socket())
                async with asyncio.timeout(10):
                    while len(house.turned_away) < 3:
                        await asyncio.sleep(0)
                assert house.kind.made == 0
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            for one in taken:
                one.close()
            assert house.turned_away == names
            house.dial(3)
            await house.until(3)

    uvloop.run(run())


def test_after_close_nothing_is_accepted() -> None:
    async def run() -> None:
        with ExitStack() as stack:
            house = House(stack)
            house.dial(1)
            await house.until(1)
            house.accepting.close()
            house.accepting.close()
            with suppress(ConnectionRefusedError):
                house.dial(1)
                raise AssertionError("something still listens")

    uvloop.run(run())
