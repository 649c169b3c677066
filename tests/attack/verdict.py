"""What one attack did to the chargers and to the gateway, and whether that is within bounds."""

from dataclasses import dataclass, field
from statistics import median

from attack.target import MAX_BUFFERED_BYTES, WORKERS

MEBIBYTE = 1 << 20
# An allocator keeps some of what was freed.
RSS_MARGIN = 32 * MEBIBYTE
# What the configuration allows unfinished frames to take, and as much again beside it.
PEAK_MARGIN = 2 * WORKERS * MAX_BUFFERED_BYTES
LOG_BYTES = 2 * MEBIBYTE


@dataclass(frozen=True)
class Bound:
    """docs/contract.md 2.2: the p99 within ``times`` its rest value, or ``above`` seconds above it."""

    times: float = 2.0
    above: float = 0.020

    def allowed(self, rest: float) -> float:
        """The slowest p99 that passes, in seconds."""
        return max(self.times * rest, rest + self.above)


@dataclass
class Figures:
    """Of all rounds of one attack. Seconds and bytes."""

    rest: list[float] = field(default_factory=list)
    """p99 of each window at rest."""
    attacked: list[float] = field(default_factory=list)
    """p99 of each window under attack."""
    samples: int = 0
    """Answers in the smallest window under attack."""
    errors: int = 0
    disconnects: int = 0
    rss_before: int = 0
    rss_peak: int = 0
    rss_after: int = 0
    restarted: bool = False
    ready: bool = True
    tracebacks: int = 0
    log_bytes: int = 0
    """The most that one round wrote to the log."""
    wrong: list[str] = field(default_factory=list)
    """What the attacker reached, or what it was answered and should not have been."""
    counts: dict[str, int] = field(default_factory=dict)
    """What the attacker did, for the reader."""
    aborted: bool = False
    """Whether rounds were left out because nothing could be measured any more."""

    def faults(self, bound: Bound, samples: int) -> list[str]:
        """Everything that is out of bounds, in words; empty: the gateway held."""
        found = []
        if self.restarted:
            found.append("a worker was restarted")
        if self.disconnects:
            found.append(f"{self.disconnects} connections of the others lost")
        if self.errors:
            found.append(f"{self.errors} CALLs of the others without an answer")
        if self.samples < samples:
            found.append(f"only {self.samples} answers under attack")
        if self.attacked and median(self.attacked) > bound.allowed(median(self.rest)):
            found.append("p99")
        if self.rss_after > self.rss_before + RSS_MARGIN:
            found.append("memory not returned")
        if self.rss_peak > self.rss_before + PEAK_MARGIN:
            found.append("memory under attack")
        if not self.ready:
            found.append("not ready afterwards")
        if self.tracebacks:
            found.append(f"{self.tracebacks} tracebacks in the log")
        if self.log_bytes > LOG_BYTES:
            found.append(f"{self.log_bytes / MEBIBYTE:.0f} MiB of log in one round")
        return found + self.wrong

    @property
    def broken(self) -> bool:
        """Whether the gateway or its chargers are in a state in which nothing more can be measured."""
        return self.aborted or self.restarted or not self.ready or self.disconnects > 0


HEADER = (
    f"{'attack':<34}{'p99 rest':>10}{'attacked':>10}{'RSS before':>12}{'peak':>7}{'after':>7}"
    "  verdict (rounds)"
)


def line(name: str, figures: Figures, faults: list[str]) -> str:
    """One row of the table: ms and MiB."""
    rest = f"{median(figures.rest) * 1000:.1f} ms" if figures.rest else "-"
    attacked = f"{median(figures.attacked) * 1000:.1f} ms" if figures.attacked else "-"
    before, peak, after = (
        f"{value / MEBIBYTE:.0f}" for value in (figures.rss_before, figures.rss_peak, figures.rss_after)
    )
    verdict = "; ".join(faults) if faults else "held"
    counts = ", ".join(f"{count:,} {what}" for what, count in sorted(figures.counts.items()))
    rounds = f" ({len(figures.attacked)}{'; ' + counts if counts else ''})"
    return f"{name:<34}{rest:>10}{attacked:>10}{before:>12}{peak:>7}{after:>7}  {verdict}{rounds}"
