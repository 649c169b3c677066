"""Connections that never finish anything: their deadlines must end them (docs/contract.md 2.1, 2.2)."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable

from attack.driver import Attacker
from attack.sockets import ENDED, RefusedError, Socket, dial, request, tcp
from attack.target import HANDSHAKE_TIMEOUT, PING_INTERVAL, PING_TIMEOUT
from frames import FIN, TEXT, frame

CONNECTIONS = 100
DRIP = 0.2  # seconds between two bytes
MARGIN = 4.0  # seconds beyond the configured deadline


async def drip(socket: Socket, data: bytes) -> None:
    """One byte after another until the gateway ends the connection. Reads nothing but the end."""
    reading = asyncio.create_task(socket.discard())
    try:
        for byte in data:
            await socket.send(bytes((byte,)))
            await asyncio.wait({reading}, timeout=DRIP)
            if reading.done():
                return
    except OSError:
        return
    finally:
        reading.cancel()


async def ends_in_time(
    attacker: Attacker,
    port: int,
    what: str,
    use: Callable[[Socket], Awaitable[None]],
    secured: ssl.SSLContext | None = None,
) -> None:
    """``use`` a connection that never becomes a websocket: the gateway must end it."""
    try:
        async with asyncio.timeout(HANDSHAKE_TIMEOUT + MARGIN), tcp(port, secured=secured) as socket:
            await use(socket)
            attacker.counts["closed"] += 1
    except TimeoutError:  # an OSError too
        attacker.expect(False, f"{what} is open after {HANDSHAKE_TIMEOUT + MARGIN} s")
    except OSError:
        attacker.counts["closed"] += 1


async def slow_upgrades(attacker: Attacker) -> None:
    """An upgrade request that never ends."""
    head = request(attacker.identity("slow"))[:-2] + b"X-Padding: " + b"x" * 1000
    port = attacker.ports.open
    await asyncio.gather(
        *(ends_in_time(attacker, port, "an upgrade", lambda one: drip(one, head)) for _ in range(CONNECTIONS))
    )


async def single_bytes(attacker: Attacker) -> None:
    """Single bytes of a frame that never ends are not a sign of life."""
    data = frame(FIN | TEXT, b"x" * 1000, claim=500_000)
    limit = PING_INTERVAL + PING_TIMEOUT + MARGIN

    async def one(number: int) -> None:
        identity = attacker.identity(f"bytes{number}")
        try:
            async with asyncio.timeout(limit), dial(attacker.ports.open, identity) as socket:
                await drip(socket, data)
                attacker.counts["closed"] += 1
        except TimeoutError:  # an OSError too
            attacker.expect(False, f"a connection that sends single bytes is open after {limit} s")
        except ENDED:
            attacker.counts["closed"] += 1
        except RefusedError as refused:
            attacker.counts[f"refused {refused.status}"] += 1

    await asyncio.gather(*(one(number) for number in range(CONNECTIONS)))
