"""Attacks by upgrade requests: wrong passwords, fresh connections, dials of a live identity."""

import asyncio
import math
import random
from collections import Counter, defaultdict
from itertools import combinations
from statistics import mean, variance
from time import monotonic

from attack.driver import Attacker
from attack.sockets import ENDED, RefusedError, dial, request, tcp, text
from attack.target import ACCOUNTS, PASSWORD, WORKERS, connected, subjects
from frames import FIN, PING, PONG, frame

PARALLEL = 80  # wrong logins of each kind at a time
SHARE = 0.1  # by which the shares of an answer may differ between kinds
SECONDS = 0.25  # by which the times of a refusal may differ between kinds (means)
CALLS_PER_SECOND, CALLS_BURST, REJECTS_PER_MINUTE = 20, 200, 10  # the defaults of `limits`
STAY = 0.5  # seconds on each connection
VICTIM_PINGS = 10  # a probe for each of 500 dials is an attack on the victim


async def wrong_logins(attacker: Attacker) -> None:
    """80 of each kind at a time: the answers do not show what a record holds, and lock no charger out."""
    dice = random.Random(attacker.order.round)
    answers: defaultdict[str, Counter[int]] = defaultdict(Counter)
    times: defaultdict[str, list[float]] = defaultdict(list)

    async def wrong(kind: str) -> None:
        while not attacker.stop.is_set():
            began, status = monotonic(), 0
            try:
                async with tcp(attacker.ports.closed) as socket:
                    await socket.send(request(kind, "f" * 40))
                    status = await socket.status()
            except OSError:
                await attacker.pause(0.1)
            answers[kind][status] += 1
            if status == 401:
                times[kind].append(monotonic() - began)
            attacker.counts["wrong logins"] += 1
            # Who is answered would else be who was answered before: places are free for who dials first.
            await attacker.pause(dice.random())

    async def right(kind: str) -> None:
        """The charger itself, from another address."""
        while await attacker.pause(0.5):
            try:
                async with dial(attacker.ports.closed, kind, PASSWORD, source="127.0.0.3"):
                    attacker.counts["right logins"] += 1
            except RefusedError as refused:
                attacker.expect(False, f"{kind}: the right password is answered {refused.status}")
            except OSError as error:  # also a TimeoutError
                attacker.expect(False, f"{kind}: the right password is not answered: {error!r}")

    kinds = [*ACCOUNTS, "unknown"]
    sha256, argon2, _ = ACCOUNTS
    await asyncio.gather(
        *(wrong(kind) for _ in range(PARALLEL) for kind in kinds), right(sha256), right(argon2)
    )
    for status in {status for seen in answers.values() for status in seen}:
        shares = {kind: answers[kind][status] / max(1, answers[kind].total()) for kind in kinds}
        spread = max(shares.values()) - min(shares.values())
        words = ", ".join(f"{kind} {share:.0%}" for kind, share in shares.items())
        attacker.expect(spread <= SHARE, f"{status} tells kinds of records apart: {words}")
    for one, other in combinations(times, 2):
        words = ", ".join(f"{kind} {mean(times[kind]):.2f} s ({len(times[kind])})" for kind in (one, other))
        attacker.expect(not _differ(times[one], times[other]), f"times tell records apart: {words}")


def _differ(one: list[float], other: list[float]) -> bool:
    """By more than what chance explains: means beyond four standard errors, and SECONDS."""
    if min(len(one), len(other)) < 10:
        return False
    error = math.sqrt(variance(one) / len(one) + variance(other) / len(other))
    return abs(mean(one) - mean(other)) > max(SECONDS, 4 * error)


async def reconnecting(attacker: Attacker) -> None:
    """A new connection for each burst; what is bounded per charger outlives it (docs/contract.md 2.2)."""
    identity = attacker.identity("again")
    began, answered = monotonic(), 0
    calls = [f'[2,"{number}","Heartbeat",{{}}]' for number in range(CALLS_BURST - 2 * REJECTS_PER_MINUTE)]
    calls += ['[2,"bad","NoSuchAction",{}]'] * REJECTS_PER_MINUTE
    burst = b"".join(map(text, calls))  # within a fresh budget, so that the socket is read to its end

    async def again() -> None:
        nonlocal answered
        while True:
            try:
                async with dial(attacker.ports.open, identity) as socket:
                    attacker.counts["connects"] += 1
                    await socket.send(burst)
                    async with asyncio.timeout(STAY):
                        for _ in calls:
                            await socket.message()
                            answered += 1
            except TimeoutError:  # its budget is spent: it tries a fresh connection
                continue
            except RefusedError as refused:
                attacker.counts[f"refused {refused.status}"] += 1
            except ENDED:
                attacker.counts["closed"] += 1

    await attacker.until_stop(again())
    seconds = monotonic() - began
    allowed = WORKERS * (CALLS_BURST + 30 + CALLS_PER_SECOND * seconds)
    attacker.expect(answered <= allowed, f"{answered} answers in {seconds:.1f} s, {allowed:.0f} are allowed")
    async with connected(attacker.ports.nats_url("gateway")) as client:
        stored = sum((await subjects(client, "OCPP_REJECTS", f"ocpp.reject.*.{identity}")).values())
    allowed = WORKERS * (REJECTS_PER_MINUTE + REJECTS_PER_MINUTE * seconds / 60)
    attacker.expect(stored <= allowed, f"{stored} reject facts in {seconds:.1f} s, {allowed:.0f} are allowed")


async def dials_of_a_live_identity(attacker: Attacker) -> None:
    """500 at once; the charger that is connected is probed, but not once for each."""
    identity = attacker.identity("victim")
    pinged = 0
    async with dial(attacker.ports.open, identity, source="127.0.0.3") as victim:

        async def live() -> None:
            nonlocal pinged
            while True:
                opcode, payload = await victim.hear()
                if opcode == PING:
                    pinged += 1
                    await victim.send(frame(FIN | PONG, payload))

        async def one() -> None:
            try:
                async with dial(attacker.ports.open, identity):
                    attacker.counts["101"] += 1
            except RefusedError as refused:
                attacker.counts[str(refused.status)] += 1
            except ENDED:
                attacker.counts["closed"] += 1

        living = asyncio.create_task(live())
        await asyncio.gather(*(one() for _ in range(500)))
        attacker.expect(not living.done(), "the live charger lost its connection")
        living.cancel()
    attacker.expect(
        attacker.counts["101"] == 0, f"{attacker.counts['101']} took the identity of a live charger"
    )
    attacker.expect(pinged <= VICTIM_PINGS, f"{pinged} pings to the live charger")
    attacker.counts["pings to the victim"] = pinged


async def logins_of_one_identity(attacker: Attacker) -> None:
    """60 at once with the right password, again and again: at most one of them stays."""
    sha256 = ACCOUNTS[0]
    open_now: set[int] = set()
    holding = asyncio.Event()

    async def one(number: int) -> None:
        try:
            async with dial(attacker.ports.closed, sha256, PASSWORD) as socket:
                open_now.add(number)
                serving = asyncio.create_task(socket.serve())
                held = asyncio.create_task(holding.wait())
                await asyncio.wait({serving, held}, return_when=asyncio.FIRST_COMPLETED)
                if serving.done():
                    open_now.discard(number)
                serving.cancel()
                held.cancel()
        except RefusedError as refused:
            attacker.counts[str(refused.status)] += 1
            attacker.expect(refused.status == 503, f"a right login was answered {refused.status}")
        except ENDED:
            open_now.discard(number)

    ones = [asyncio.create_task(one(number)) for number in range(60)]
    await attacker.stop.wait()
    attacker.expect(len(open_now) <= 1, f"{len(open_now)} connections of one identity are open")
    holding.set()
    await asyncio.gather(*ones)
