"""Clients that read too slowly, and slowhttptest, which others test their servers with."""

import asyncio
import re
import socket
from asyncio.subprocess import PIPE, STDOUT

import psutil

from attack.certificates import client
from attack.driver import Attacker
from attack.sockets import ENDED, RefusedError, Socket, dial, text
from attack.target import HANDSHAKE_TIMEOUT, PASSWORD, STORM
from frames import FIN, PING, frame

READERS = 20  # with and without TLS
CALLS = text('[2,"1","Heartbeat",{}]') * 100 + frame(FIN | PING, b"x" * 125) * 2000
TIDBIT = 512  # bytes
PAUSE = 0.1  # seconds
TOOL_SECONDS = round(HANDSHAKE_TIMEOUT) + 4
TOOL = {
    "headers": ("-H", "-i", "1"),
    "body": ("-B", "-i", "1", "-s", "8192"),
    "reads": ("-X", "-w", "1", "-y", "8", "-n", "1", "-z", "1", "-k", "3"),
}
TOOL_CONNECTIONS = 200  # of each
LOOK = 0.25  # seconds
ROOM = 20  # descriptors that may be others'


async def slow_readers(attacker: Attacker) -> None:
    """They ask for much and read little: what waits for them is bounded, and delays no other charger."""
    secured = client(attacker.ports.certificates)

    async def greedy(number: int) -> None:
        over_tls = number >= READERS
        port, identity = attacker.ports.open, attacker.identity(f"greedy{number}")
        if over_tls:
            port, identity = attacker.ports.tls, STORM[number]
        while True:
            try:
                async with dial(
                    port, identity, PASSWORD if over_tls else None, secured=secured if over_tls else None
                ) as one:
                    attacker.counts["connections"] += 1
                    await _starve(one)
            except RefusedError as refused:
                attacker.counts[f"refused {refused.status}"] += 1
            except ENDED:
                attacker.counts["closed"] += 1
            if not await attacker.pause(PAUSE):
                return

    await attacker.until_stop(*(greedy(number) for number in range(2 * READERS)))


async def _starve(one: Socket) -> None:
    """Send without reading more than a tidbit now and then. Raises what is in ENDED."""
    raw = one.writer.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    one.writer.transport.pause_reading()  # type: ignore[attr-defined]

    async def ask() -> None:
        while True:
            await one.send(CALLS)

    asking = asyncio.create_task(ask())
    try:
        while not asking.done():
            await asyncio.wait({asking}, timeout=PAUSE)
            await one.reader.read(TIDBIT)
        asking.result()
    finally:
        asking.cancel()


async def slowhttptest(attacker: Attacker) -> None:
    """Slow headers, bodies and reads at once: no connection outlives its deadline, every probe is answered.

    The slow reads stay open for the tool, which reads a byte a second: the system has them, not the gateway.
    """
    url = f"http://127.0.0.1:{attacker.ports.open}/ocpp/{attacker.identity('slowhttptest')}"
    common = ("-c", str(TOOL_CONNECTIONS), "-r", "200", "-l", str(TOOL_SECONDS), "-p", "3", "-u", url)

    async def one(name: str, options: tuple[str, ...]) -> None:
        process = await asyncio.create_subprocess_exec(
            *("slowhttptest", *options, *common), stdout=PIPE, stderr=STDOUT
        )
        try:
            shown, _ = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
        words = re.sub(r"\x1b\[[\d;]*[A-Za-z]", "", shown.decode(errors="replace"))
        availability = re.findall(r"service available:\s*(\w+)", words)
        attacker.expect(bool(availability) and "NO" not in availability, f"{name}: probes were not answered")
        attacker.counts[f"slow {name}"] += TOOL_CONNECTIONS

    workers = [psutil.Process(pid) for pid in attacker.order.workers]
    before = most = last = _descriptors(workers)
    running = asyncio.gather(*(one(name, options) for name, options in TOOL.items()))
    while not running.done():
        last = _descriptors(workers)
        most = max(most, last)
        await asyncio.wait({running}, timeout=LOOK)
    running.result()
    attacker.expect(most > before + TOOL_CONNECTIONS, f"only {most - before} connections were open")
    attacker.expect(last <= before + ROOM, f"{last - before} connections outlive their deadline")


def _descriptors(workers: list[psutil.Process]) -> int:
    return sum(worker.num_fds() for worker in workers)
