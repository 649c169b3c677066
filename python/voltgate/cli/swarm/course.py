"""The phases of a run: connect, load, storm, end; and the progress display."""

import asyncio
import math
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Any
from urllib.parse import urlsplit

from voltgate.charger.processes import Processes, SwarmError, processes
from voltgate.charger.swarm import Plan, Report
from voltgate.charger.tally import Tally
from voltgate.cli.faults import Failure
from voltgate.cli.service import on_signals
from voltgate.cli.swarm.figures import Course, Wish
from voltgate.cli.terminal import say

CONNECT_SECONDS = 5.0
ADMIT_SECONDS = 60.0  # at least one more charger must be admitted within this time
GRACE = 35.0  # seconds after the plan's end; a call times out after 30
HURRY = 2.0  # after Ctrl-C
LINE_SECONDS = 5.0

Show = Callable[[str, float, Report, Tally], None]


async def follow(wish: Wish, plans: list[Plan]) -> tuple[Course, Report, Tally]:
    """Run all phases. Raises Failure."""
    stop = asyncio.Event()
    on_signals(stop.set)
    await _reachable(wish.url)
    try:
        async with processes(plans) as fleet:
            with _progress(wish) as show:
                course = await _course(wish, fleet, show, stop)
                await _ended(fleet, show, stop)
            return course, *fleet.report()
    except SwarmError as error:
        raise Failure(str(error)) from None


async def _reachable(url: str) -> None:
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "wss" else 80)
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            _, writer = await asyncio.open_connection(parts.hostname, port)
    except (OSError, TimeoutError) as error:
        reason = getattr(error, "strerror", None) or "no answer"
        raise Failure(
            f"cannot connect to {url} ({reason}): start a gateway, for example `voltgate dev`, or set --url"
        ) from None
    writer.close()


async def _course(wish: Wish, fleet: Processes, show: Show, stop: asyncio.Event) -> Course:
    """Connect, load, storm, until ``stop`` is set."""
    began = monotonic()
    await _all_in(wish, fleet, show, stop)
    report, tally = fleet.report()
    if report.joined == 0 and not stop.is_set():
        reasons = [reason for reason, _ in tally.refused.most_common(3)]
        raise Failure(f"no charger was admitted: {', '.join(reasons) or 'no answer'}")
    connecting = monotonic() - began
    if stop.is_set():
        return Course(connecting=connecting)
    fleet.order("load")
    loaded, storm, returned = monotonic(), None, True
    await _until(loaded + wish.duration / (2 if wish.storm else 1), loaded, wish, fleet, show, stop)
    if wish.storm and not stop.is_set():
        struck = monotonic()
        fleet.order("storm")
        returned = await _all_in(wish, fleet, show, stop, storms=1)
        storm = fleet.report()[0].joined_at - struck if returned else monotonic() - struck
        await _until(loaded + wish.duration, loaded, wish, fleet, show, stop)
    return Course(connecting=connecting, loaded=monotonic() - loaded, storm=storm, returned=returned)


async def _ended(fleet: Processes, show: Show, stop: asyncio.Event) -> None:
    """Wait for the answers to open calls, for ``HURRY`` seconds once ``stop`` is set."""
    hurried = False
    fleet.order("finish", grace=GRACE)
    while not fleet.final:
        if stop.is_set() and not hurried:
            hurried = True
            fleet.order("finish", grace=HURRY)
        await _news(fleet, asyncio.Event() if hurried else stop)
        show("ending", 1.0, *fleet.report())


async def _all_in(wish: Wish, fleet: Processes, show: Show, stop: asyncio.Event, storms: int = 0) -> bool:
    """Wait until every charger has joined or been rejected; whether all have joined."""
    best, deadline = -1, monotonic() + ADMIT_SECONDS
    while not stop.is_set() and monotonic() < deadline:
        await _news(fleet, stop)
        report, tally = fleet.report()
        if report.storms < storms:
            continue  # the order has not reached every process
        show("storm" if storms else "connecting", report.joined / wish.chargers, report, tally)
        if report.joined + report.gave_up >= wish.chargers:
            return report.gave_up == 0
        if report.joined > best:
            best, deadline = report.joined, monotonic() + ADMIT_SECONDS
    return False


async def _until(  # noqa: PLR0913, PLR0917 - all of it is one run
    moment: float, began: float, wish: Wish, fleet: Processes, show: Show, stop: asyncio.Event
) -> None:
    while not stop.is_set() and (left := moment - monotonic()) > 0:
        await _news(fleet, stop, left)
        show("load", (monotonic() - began) / max(wish.duration, 1e-9), *fleet.report())


async def _news(fleet: Processes, stop: asyncio.Event, longest: float = LINE_SECONDS) -> None:
    """Wait for a report, ``stop``, or the timeout."""
    tasks: set[asyncio.Task[Any]] = {asyncio.create_task(fleet.news()), asyncio.create_task(stop.wait())}
    done, waiting = await asyncio.wait(tasks, timeout=longest, return_when=asyncio.FIRST_COMPLETED)
    for task in waiting:
        task.cancel()
    for task in done:
        task.result()


# Progress


@contextmanager
def _progress(wish: Wish) -> Iterator[Show]:
    """A progress bar on a terminal, else a line every few seconds; on stderr."""
    pace = _Pace()
    if sys.stderr is None or not sys.stderr.isatty():
        last, before = 0.0, ""

        def plain(phase: str, share: float, report: Report, tally: Tally) -> None:
            nonlocal last, before
            words = pace.words(report, tally)
            if phase != before or monotonic() - last >= LINE_SECONDS:
                last, before = monotonic(), phase
                say(f"{phase} {min(share, 1.0):4.0%}  {words}")

        yield plain
        return

    from rich.console import Console  # noqa: PLC0415 - only for terminals
    from rich.progress import BarColumn, Progress, TextColumn  # noqa: PLC0415

    columns = (TextColumn("{task.description:10}"), BarColumn(20), TextColumn("{task.fields[words]}"))
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("connecting", total=1.0, words=f"0 of {wish.chargers}")

        def moving(phase: str, share: float, report: Report, tally: Tally) -> None:
            bar.update(task, description=phase, completed=min(share, 1.0), words=pace.words(report, tally))

        yield moving


class _Pace:
    """Calls per second since the previous call."""

    def __init__(self) -> None:
        self._at, self._answered, self._rate = monotonic(), 0, 0.0

    def words(self, report: Report, tally: Tally) -> str:
        """Connected, sent, answered, errors, calls/s, current p99."""
        now = monotonic()
        if now - self._at >= 1.0:
            self._rate = (tally.answered - self._answered) / (now - self._at)
            self._at, self._answered = now, tally.answered
        latencies = tally.load if len(tally.load) else tally.start
        refused = tally.refused.total()
        return (
            f"{report.joined} connected  {tally.sent} sent  {tally.answered} answered  {tally.errors} errors"
            f"{f'  {refused} refused' if refused else ''}  {self._rate:.0f}/s  "
            f"p99 {_ms(latencies.percentile(0.99))}"
        )


def _ms(seconds: float) -> str:
    return "-" if math.isnan(seconds) else f"{seconds * 1000:.1f} ms"
