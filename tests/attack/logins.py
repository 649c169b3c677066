"""Logins in great numbers: wrong ones, with and without TLS, and a storm of right ones."""

import asyncio
import random
import ssl
from contextlib import suppress
from time import monotonic, process_time

import psutil

from attack.certificates import client
from attack.driver import Attacker, computed_elsewhere
from attack.sockets import ENDED, PATIENCE, RefusedError, dial, request, tcp
from attack.target import ACCOUNTS, PASSWORD, STORM

LOGINS = 10_000
PARALLEL = 400
ADDRESSES = 100
LONGEST, LONGEST_TLS = 40.0, 90.0  # seconds for all of them on this machine, which the attackers share
EVERY = 0.5  # seconds between two right logins
WAIT = 1.0  # seconds between two attempts of a charger that was refused
SPARE = 3.0  # seconds of a storm in which nothing is computed: attempts that wait


async def bad_logins(attacker: Attacker) -> None:
    """10,000 with wrong passwords, half of them from one address; generated keys go on being accepted."""
    await _bad_logins(attacker, attacker.ports.closed, None, LONGEST)


async def bad_logins_over_tls(attacker: Attacker) -> None:
    """The same, each with a full handshake."""
    await _bad_logins(attacker, attacker.ports.tls, client(attacker.ports.certificates), LONGEST_TLS)


async def _bad_logins(attacker: Attacker, port: int, secured: ssl.SSLContext | None, longest: float) -> None:
    computed_elsewhere()
    left = iter(range(LOGINS))
    kinds = [*ACCOUNTS, "unknown", "-"]
    done = asyncio.Event()

    async def wrong() -> None:
        for number in left:
            source = "127.0.0.2" if number % 2 else f"127.0.4.{1 + number % ADDRESSES}"
            status = 0
            try:
                async with asyncio.timeout(PATIENCE), tcp(port, source, secured) as socket:
                    await socket.send(request(kinds[number % len(kinds)], f"{number:040}"))
                    status = await socket.status()
            except TimeoutError:
                attacker.expect(False, "a wrong login has no end")
            except OSError:
                pass
            attacker.counts[str(status) if status else "closed"] += 1
            attacker.expect(status in (0, 401, 503), f"a wrong login was answered {status}")

    async def right(identities: list[str]) -> None:
        """Chargers with generated keys, one after the other, from another address."""
        for identity in identities:
            try:
                async with dial(port, identity, PASSWORD, source="127.0.0.3", secured=secured):
                    attacker.counts["right logins"] += 1
            except RefusedError as refused:
                attacker.expect(False, f"a right password is answered {refused.status}")
            except ENDED as error:
                attacker.expect(False, f"a right password is not answered: {error!r}")
            with suppress(TimeoutError):
                async with asyncio.timeout(EVERY):
                    await done.wait()
                    return

    began = monotonic()
    knocking = asyncio.create_task(right(STORM))
    await asyncio.gather(*(wrong() for _ in range(PARALLEL)))
    seconds = monotonic() - began
    done.set()
    await knocking
    attacker.expect(attacker.counts["right logins"] > 1, "no right login was tried")
    attacker.expect(seconds <= longest, f"{LOGINS} took {seconds:.0f} s, {longest:.0f} are allowed")
    attacker.counts["seconds"] = round(seconds)


async def storm(attacker: Attacker) -> None:
    """2,000 chargers log in at once with full handshakes, from sites of ten; refused ones dial again."""
    computed_elsewhere()
    secured = client(attacker.ports.certificates)
    workers = [psutil.Process(pid) for pid in attacker.order.workers]
    inside, all_in = 0, asyncio.Event()

    async def charger(number: int) -> None:
        nonlocal inside
        source = f"127.0.5.{1 + number % 200}"
        while True:
            try:
                async with dial(
                    attacker.ports.tls, STORM[number], PASSWORD, source=source, secured=secured
                ) as socket:
                    inside += 1
                    if inside == len(STORM):
                        all_in.set()
                    await socket.serve()
                    inside -= 1
                    attacker.counts["lost again"] += 1
            except RefusedError as refused:
                attacker.counts[str(refused.status) if refused.status else "closed"] += 1
                attacker.expect(refused.status in (0, 503), f"a right login was answered {refused.status}")
            except ENDED:
                attacker.counts["closed"] += 1
            await asyncio.sleep(WAIT * random.uniform(0.5, 1.5))

    began, own, theirs = monotonic(), process_time(), _cpu(workers)
    chargers = [asyncio.create_task(charger(number)) for number in range(len(STORM))]
    try:
        async with asyncio.timeout(LONGEST_TLS):
            await all_in.wait()
    except TimeoutError:
        attacker.expect(False, f"only {inside} are connected")
    seconds = monotonic() - began
    computed = process_time() - own + _cpu(workers) - theirs
    attacker.expect(
        seconds <= computed + SPARE, f"all were connected after {seconds:.1f} s, computed were {computed:.1f}"
    )
    attacker.counts["ms of the gateway's CPU"] = round((_cpu(workers) - theirs) * 1000)
    attacker.counts["seconds"] = round(seconds)
    for task in chargers:
        task.cancel()
    for ended in await asyncio.gather(*chargers, return_exceptions=True):
        if isinstance(ended, Exception):
            raise ended


def _cpu(processes: list[psutil.Process]) -> float:
    return sum(sum(one.cpu_times()[:2]) for one in processes)
