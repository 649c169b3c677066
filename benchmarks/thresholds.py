"""Locust's statistics by request type, with fractions of a millisecond, and conditions on them."""

import re
from collections.abc import Iterable, Iterator

from locust.stats import RequestStats, StatsEntry

FORM = re.compile(r"(?:([\w-]+)\.p(\d{2,3})_ms|(error_share))<(\d+(?:\.\d+)?)")


def missed(stats: RequestStats, thresholds: Iterable[str]) -> Iterator[str]:
    """Those that do not hold, with the value. Raises ValueError."""
    for text in thresholds:
        match = FORM.fullmatch(text.replace(" ", ""))
        if match is None:
            raise ValueError(
                f"threshold {text!r}: must have the form 'CALL.p99_ms<200' or 'error_share<0.01'"
            )
        kind, digits, _, limit = match.groups()
        value = stats.total.fail_ratio if kind is None else percentile(stats, kind, digits)
        if not value < float(limit):
            yield f"{text} ({value:g})"


def summary(stats: RequestStats) -> Iterator[str]:
    """A line per request type."""
    for kind in sorted({method for _, method in stats.entries}):
        shares = "  ".join(
            f"p{name} {percentile(stats, kind, digits):g} ms"
            for name, digits in (("50", "50"), ("95", "95"), ("99", "99"), ("99.9", "999"))
        )
        together = entry_of(stats, kind)
        yield f"{kind}: {together.num_requests} ({together.num_failures} failed)  {shares}"


def entry_of(stats: RequestStats, kind: str) -> StatsEntry:
    """The sum of all names of a request type."""
    together = StatsEntry(stats, kind, kind)
    for (_, method), entry in stats.entries.items():
        if method == kind:
            together.extend(entry)
    return together


def percentile(stats: RequestStats, kind: str, digits: str) -> float:
    """Infinite if there were no requests, so that no threshold holds."""
    together = entry_of(stats, kind)
    if not together.num_requests:
        return float("inf")
    return float(together.get_response_time_percentile(int(digits) / 10 ** len(digits)))
