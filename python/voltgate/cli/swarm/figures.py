"""The measurements of a swarm, as JSON (docs/swarm.schema.json) and as a table."""

from dataclasses import dataclass, field
from typing import Any

from voltgate import __version__
from voltgate.charger.plan import Report
from voltgate.charger.tally import Latencies, Tally

SCHEMA = 1
SHARES = {"p50_ms": 0.5, "p95_ms": 0.95, "p99_ms": 0.99, "p999_ms": 0.999}
PERCENTILES = (*SHARES, "max_ms")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """The options of the command line that decide what happens, and when."""

    scenario: str
    url: str
    chargers: int
    rate: float
    duration: float
    mix: dict[str, int]
    storm: bool = False
    half_open: float = 0.0
    """The share of the chargers whose sockets are left half-open."""
    slow_consumers: int = 0


@dataclass(slots=True, kw_only=True)
class Course:
    """What happened, and when; times in seconds."""

    connecting: float = 0.0
    began: float = 0.0
    """Start of the load, on the machine's monotonic clock."""
    loaded: float = 0.0
    storm: float | None = None
    """From the reset until every charger was back; None: no storm."""
    returned: bool = True
    """Whether every charger was back after the storm."""
    gateway: str | None = None
    """The version of the gateway, if known."""
    commands: dict[str, Any] | None = None
    found: dict[str, Any] | None = None
    """The result of the search for the highest rate."""
    windows: list[list[tuple[int, int]]] = field(default_factory=list)
    """Counts per bucket of the answers in equal parts of the load."""


def result(wish: Wish, course: Course, report: Report, tally: Tally) -> dict[str, Any]:
    """The output of --json."""
    # Answers that come after the load belong to it, so the time until the last of them does too.
    loaded = max(course.loaded, report.answered_at - course.began) if course.began else 0.0
    storm = None
    if course.storm is not None:
        storm = {"seconds": round(course.storm, 3), "all_returned": course.returned, **row(tally.storm)}
    return {
        "schema": SCHEMA,
        "voltgate": __version__,
        "gateway": course.gateway,
        "scenario": wish.scenario,
        "url": wish.url,
        "chargers": wish.chargers,
        "mix": wish.mix,
        "connected": report.joined,
        "gave_up": report.gave_up,
        "not_accepted": dict(tally.boots),
        "sent": tally.sent,
        "answered": tally.answered,
        "errors": tally.errors,
        "error_share": round(tally.errors / max(tally.sent, 1), 6),
        "errors_by_kind": {
            kind: getattr(tally, kind) for kind in ("callerror", "invalid", "timeout", "lost", "unanswered")
        },
        "refused_upgrades": dict(tally.refused),
        "disconnects": tally.disconnects,
        "interrupted": tally.interrupted,
        "commands_received": tally.commands,
        "rate_planned": wish.rate,
        "rate_achieved": round(tally.served / loaded, 1) if loaded else 0.0,
        **percentiles(tally.load),
        "connect": {"seconds": round(course.connecting, 3), **row(tally.start)},
        "upgrade": row(tally.upgrade),
        "storm": storm,
        "return": row(tally.back) if len(tally.back) else None,
        "away": row(tally.away) if len(tally.away) else None,
        "half_open": {"sockets": tally.silent, **row(tally.noticed)} if tally.silent else None,
        "slow_consumers": wish.slow_consumers,
        "commands": course.commands,
        "actions": {
            action: {"errors": tally.failed[action], **row(latencies)}
            for action, latencies in sorted(tally.actions.items())
        },
        "find_rate": course.found,
        "thresholds": [],
        "seconds": round(course.connecting + loaded, 3),
        "plan_behind_ms": round(report.behind * 1000, 1),
        "bytes_per_charger": report.memory // wish.chargers,
        "windows": course.windows,
    }


def row(latencies: Latencies) -> dict[str, Any]:
    """Its count and percentiles."""
    return {"count": len(latencies), **percentiles(latencies)}


def percentiles(latencies: Latencies) -> dict[str, float | None]:
    """In milliseconds; None if nothing was measured."""
    if not len(latencies):
        return dict.fromkeys(PERCENTILES)
    values = {name: latencies.percentile(share) for name, share in SHARES.items()}
    return {
        name: round(seconds * 1000, 3) for name, seconds in (values | {"max_ms": latencies.longest}).items()
    }


def table(figures: dict[str, Any]) -> str:
    """The output without --json."""
    given_up = f" ({figures['gave_up']} rejected)" if figures["gave_up"] else ""
    kinds = _counts(figures["errors_by_kind"])
    lines = [
        ("connected", f"{figures['connected']} of {figures['chargers']}{given_up}"),
        ("sent", figures["sent"]),
        ("answered", figures["answered"]),
        ("errors", f"{figures['errors']}{f' ({kinds})' if kinds else ''}"),
        ("refused", f"upgrades: {_counts(figures['refused_upgrades']) or 0}"),
        ("disconnects", figures["disconnects"]),
        ("rate", f"{figures['rate_planned']:g}/s planned, {figures['rate_achieved']:g}/s answered"),
        ("answers", _row(figures)),
        ("connect", f"{_row(figures['connect'])}  in {figures['connect']['seconds']:.1f} s"),
        ("upgrade", _row(figures["upgrade"])),
    ]
    if figures["not_accepted"]:
        lines.append(("boot", f"not accepted: {_counts(figures['not_accepted'])}"))
    if storm := figures["storm"]:
        back = "all back" if storm["all_returned"] else "not all back"
        lines.append(("storm", f"{_row(storm)}  {back} after {storm['seconds']:.1f} s"))
    if figures["return"]:
        lines.append(("return", f"{_row(figures['return'])}  until a charger is back"))
        lines.append(("interrupted", f"{figures['interrupted']} calls interrupted by the swarm itself"))
    if figures["away"]:
        lines.append(("delayed", f"{_row(figures['away'])}  calls of chargers that were away"))
    if half := figures["half_open"]:
        lines.append(("half-open", f"{half['count']} of {half['sockets']} sockets closed by the gateway"))
    if figures["slow_consumers"]:
        lines.append(("slow", f"{figures['slow_consumers']} subscribers that did not read"))
    if commands := figures["commands"]:
        lines.append(("commands", f"{_row(commands)}  {_counts(commands['outcomes'])}"))
    lines += [
        (action, f"{_row(one)}  {one['count']} calls, {one['errors']} errors")
        for action, one in figures["actions"].items()
    ]
    if found := figures["find_rate"]:
        lines += [("step", _step(step)) for step in found["steps"]]
        best = f"{found['rate']:g}/s" if found["rate"] else "none of the rates"
        lines.append(("found", f"{best} holds {found['until']}"))
    lines += [
        (
            "plan",
            f"{figures['plan_behind_ms']:g} ms late at most (by the swarm itself; included in the answers)",
        ),
        (
            "memory",
            f"{figures['bytes_per_charger'] / 1024:.1f} KiB per charger, {figures['processes']} processes",
        ),
        ("seconds", f"{figures['seconds']:.1f}"),
    ]
    lines += [
        ("threshold", f"{one['threshold']}: {'held' if one['held'] else 'NOT held'} ({one['value']})")
        for one in figures["thresholds"]
    ]
    wide = max(12, *(len(name) for name, _ in lines))
    return "\n".join(f"{name:<{wide}} {value}" for name, value in lines)


def _step(step: dict[str, Any]) -> str:
    held = "held" if step["held"] else "not held"
    late = f", the swarm itself {step['plan_behind_ms']:g} ms late" if step["plan_behind_ms"] > 50 else ""
    return f"{_row(step)}  {step['rate']:g}/s planned, {step['rate_achieved']:g}/s answered: {held}{late}"


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.items() if count)


def _row(figures: dict[str, Any]) -> str:
    if figures["p50_ms"] is None:
        return "none"
    names = {"p50": "p50_ms", "p95": "p95_ms", "p99": "p99_ms", "p99.9": "p999_ms", "max": "max_ms"}
    return "  ".join(f"{name} {figures[key]:.1f} ms" for name, key in names.items())
