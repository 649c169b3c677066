"""What a swarm shows and keeps while it runs: the progress display, and a row per second (``--series``)."""

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from time import monotonic
from typing import IO, Any, Protocol

import orjson

from voltgate.charger.plan import Report
from voltgate.charger.tally import Latencies, Tally
from voltgate.cli.faults import USAGE, Failure
from voltgate.cli.swarm.figures import SHARES
from voltgate.cli.terminal import say

LINE_SECONDS = 5.0
WINDOWS = 60  # parts of the load in the result


class Show(Protocol):
    """Called with each report."""

    def __call__(self, phase: str, share: float, report: Report, tally: Tally) -> None: ...  # noqa: D102


class Series:
    """A row per second of the run, each about what happened since the row before."""

    def __init__(self, file: IO[bytes] | None) -> None:
        self.rows: list[dict[str, Any]] = []
        self._file = file
        self._began = self._at = monotonic()
        self._before = Tally()
        self._windows: list[list[tuple[int, int]]] = []

    def take(self, phase: str, report: Report, tally: Tally) -> None:
        """Add a row if a second has passed."""
        now, before = monotonic(), self._before
        seconds = now - self._at
        if seconds < 1.0:
            return
        self._at, self._before = now, tally
        load = tally.load.since(before.load)
        latencies = load if len(tally.load) else tally.start.since(before.start)
        row = {
            "t": round(now - self._began, 3),
            "phase": phase,
            "connected": report.joined,
            "sent_per_second": round((tally.sent - before.sent) / seconds, 1),
            "answered_per_second": round((tally.answered - before.answered) / seconds, 1),
            "errors": tally.errors - before.errors,
            "refused": tally.refused.total() - before.refused.total(),
            "disconnects": tally.disconnects - before.disconnects,
            "open": tally.open,
            **{name: _ms(latencies.percentile(share)) for name, share in SHARES.items()},
        }
        self.rows.append(row)
        if phase in ("load", "storm"):
            self._windows.append(load.dump()[0])
        if self._file is not None:
            self._file.write(orjson.dumps(row) + b"\n")
            self._file.flush()

    @property
    def windows(self) -> list[list[tuple[int, int]]]:
        """The load in equal parts, at most ``WINDOWS``."""
        size = -(-len(self._windows) // WINDOWS) or 1
        parts = (self._windows[start : start + size] for start in range(0, len(self._windows), size))
        return [Latencies.of((one, 0.0) for one in part).dump()[0] for part in parts]


class Progress:
    """The display and the series of one run."""

    def __init__(self, series: Series, show: Show) -> None:
        self.series, self._show = series, show

    def __call__(self, phase: str, share: float, report: Report, tally: Tally) -> None:
        """One report."""
        self.series.take(phase, report, tally)
        self._show(phase, min(share, 1.0), report, tally)


@contextmanager
def progress(chargers: int, series: Path | None) -> Iterator[Progress]:
    """A progress bar on a terminal, else a line every few seconds; on stderr. Raises Failure."""
    with ExitStack() as stack:
        try:
            file = stack.enter_context(series.open("wb")) if series is not None else None
        except OSError as error:
            raise Failure(f"--series {series}: {error.strerror}", USAGE) from None
        show = stack.enter_context(_bar(chargers)) if _terminal() else _lines()
        yield Progress(Series(file), show)


def _terminal() -> bool:
    return sys.stderr is not None and sys.stderr.isatty()


def _lines() -> Show:
    pace, last, before = _Pace(), 0.0, ""

    def show(phase: str, share: float, report: Report, tally: Tally) -> None:
        nonlocal last, before
        words = pace.words(report, tally)
        if phase != before or monotonic() - last >= LINE_SECONDS:
            last, before = monotonic(), phase
            say(f"{phase} {share:4.0%}  {words}")

    return show


@contextmanager
def _bar(chargers: int) -> Iterator[Show]:
    from rich.console import Console  # noqa: PLC0415 - only for terminals
    from rich.progress import BarColumn, Progress, TextColumn  # noqa: PLC0415

    pace = _Pace()
    columns = (TextColumn("{task.description:10}"), BarColumn(20), TextColumn("{task.fields[words]}"))
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("connecting", total=1.0, words=f"0 of {chargers}")

        def show(phase: str, share: float, report: Report, tally: Tally) -> None:
            bar.update(task, description=phase, completed=share, words=pace.words(report, tally))

        yield show


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
        refused, waiting = tally.refused.total(), tally.boots.total()
        p99 = _ms(latencies.percentile(0.99))
        return (
            f"{report.joined} connected  {tally.sent} sent  {tally.answered} answered  {tally.errors} errors"
            f"{f'  {refused} refused' if refused else ''}"
            f"{f'  {waiting} boots not accepted' if waiting else ''}  {self._rate:.0f}/s  "
            f"p99 {'-' if p99 is None else f'{p99:.1f} ms'}"
        )


def _ms(seconds: float) -> float | None:
    return None if seconds != seconds else round(seconds * 1000, 3)  # noqa: PLR0124 - NaN: nothing was measured
