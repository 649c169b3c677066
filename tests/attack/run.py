"""Attacks one after the other: windows at rest and under attack, and what is left afterwards."""

import asyncio
import re
import tempfile
from collections.abc import Callable, Iterable
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path

from attack import crowd, target
from attack.catalogue import ATTACKS
from attack.conditions import Conditions
from attack.crowd import Crowd, Window, backlog
from attack.driver import AttackerError, Driver, Order
from attack.target import Target, tracebacks
from attack.verdict import RSS_MARGIN, Bound, Figures
from voltgate.charger.tally import Tally

PATIENCE = 40.0  # seconds for the answers of a window, and for an attacker to finish
SETTLE = 15.0  # seconds in which the gateway must be as before
IN_FLIGHT = 0.1  # seconds of CALLs that are open at any time
RESTS = 3  # the rest value is the median of so many windows


@dataclass(frozen=True)
class Size:
    """How much of everything."""

    chargers: int = 200
    rate: float = 1500.0
    """CALLs per second of all chargers."""
    samples: int = 5000
    """Answers in a window."""
    rounds: int = 3
    bound: Bound = field(default_factory=Bound)


@dataclass(frozen=True)
class Result:
    """One row of the table."""

    name: str
    figures: Figures
    faults: list[str]


@dataclass
class Site:
    """A running target with its chargers; it lasts until an attack breaks it."""

    target: Target
    crowd: Crowd
    rests: list[float]


async def run(names: Iterable[str], size: Size, told: Callable[[Result], None]) -> list[str]:
    """Every attack in turn; ``told`` gets each row. The faults of all targets, which no row names."""
    faults: list[str] = []
    left = list(names)
    while left:
        conditions = ATTACKS[left[0]].conditions
        async with AsyncExitStack() as stack:
            site = await _site(stack, size, conditions)
            broken = False
            while left and not broken and ATTACKS[left[0]].conditions == conditions:
                name = left.pop(0)
                figures = await _attack(name, site, size)
                broken = figures.broken
                found = figures.faults(size.bound, size.samples)
                told(Result(name, figures, found))
                faults += [name] if found else []
            faults += await _lost(site)
    return faults


async def _site(stack: AsyncExitStack, size: Size, conditions: Conditions) -> Site:
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="voltgate-attack-")))
    good = crowd.identities(size.chargers)
    running = stack.enter_context(target.running(folder, conditions, good))
    async with asyncio.timeout(PATIENCE):
        while not await asyncio.to_thread(lambda: running.ready):
            await asyncio.sleep(0.1)
    chargers = await stack.enter_async_context(crowd.running(running.ports, good, size.rate))
    site = Site(running, chargers, [])
    while len(site.rests) < RESTS:  # the first shows caches being filled
        await _rest(site, size)
    return site


async def _rest(site: Site, size: Size) -> None:
    """A window without an attack; joins those before it."""
    before = await site.crowd.news()
    await _enough(site, size, before, Figures())
    site.rests = [*site.rests, site.crowd.since(before).p99][-RESTS:]


async def _attack(name: str, site: Site, size: Size) -> Figures:
    """All rounds; fewer where the target breaks."""
    await _rest(site, size)
    figures, running = Figures(rest=list(site.rests), samples=size.samples), site.target
    pids, figures.rss_before = running.pids, running.rss
    for number in range(min(size.rounds, ATTACKS[name].rounds)):
        log, traces = running.log.stat().st_size, tracebacks(running.log)
        order = Order(name, number, running.ports, sorted(running.pids))
        window = await _round(order, site, size, figures)
        if not figures.aborted:
            figures.attacked.append(window.p99)
            figures.samples = min(figures.samples, len(window.latencies))
        figures.errors += window.errors
        figures.disconnects += window.disconnects
        await _until(site, lambda: running.ready and running.rss <= figures.rss_before + RSS_MARGIN)
        figures.rss_after, figures.ready = running.rss, running.ready
        figures.restarted |= running.pids != pids
        figures.tracebacks += tracebacks(running.log) - traces
        figures.log_bytes = max(figures.log_bytes, running.log.stat().st_size - log)
        if figures.broken:
            break
    return figures


async def _round(order: Order, site: Site, size: Size, figures: Figures) -> Window:
    """From the attack's start until everything that came due meanwhile is answered."""
    driver = await Driver.start(order)
    try:
        before = await site.crowd.news()
        driver.attack()
        await _enough(site, size, before, figures)
        outcome = await driver.finish(ATTACKS[order.attack].patience)
    except (TimeoutError, AttackerError) as error:
        figures.aborted = True
        figures.wrong.append(str(error) or "the attacker was not answered in time")
    else:
        known = {_kind(one) for one in figures.wrong}
        figures.wrong += [one for one in outcome.wrong if _kind(one) not in known]
        for what, count in outcome.counts.items():
            figures.counts[what] = figures.counts.get(what, 0) + count
    finally:
        driver.kill()
    # An answer that is late because of the attack belongs to its window.
    await _until(site, lambda: backlog(site.crowd.tally) <= size.rate * IN_FLIGHT)
    return site.crowd.since(before)


def _kind(wrong: str) -> str:
    """Words without figures and what follows the colon: the next round finds the same with other figures."""
    return re.sub(r"[\d.]+", "", wrong.partition(":")[0])


async def _enough(site: Site, size: Size, before: Tally, figures: Figures) -> None:
    """Until there are enough answers, or PATIENCE is over: the verdict counts them."""
    with suppress(TimeoutError):
        async with asyncio.timeout(PATIENCE):
            while len(site.crowd.since(before).latencies) < size.samples:
                await site.crowd.news()
                figures.rss_peak = max(figures.rss_peak, site.target.rss)


async def _until(site: Site, holds: Callable[[], bool]) -> None:
    """Until it holds, SETTLE at most: the verdict names what is not as before."""
    with suppress(TimeoutError):
        async with asyncio.timeout(SETTLE):
            await site.crowd.news()
            while not holds():
                await site.crowd.news()


async def _lost(site: Site) -> list[str]:
    """Answered CALLs that are not in the streams."""
    tally = await site.crowd.finish()
    lost = tally.answered - await site.target.stored()
    return [f"{lost} of {tally.answered} answered CALLs are not stored"] if lost > 0 else []
