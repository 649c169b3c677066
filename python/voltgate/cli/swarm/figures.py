"""The measurements of a swarm, as a table and as JSON."""

from dataclasses import dataclass
from typing import Any

from voltgate.charger.swarm import Report
from voltgate.charger.tally import Latencies, Tally


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """The options of the command line."""

    url: str
    chargers: int
    rate: float
    duration: float
    storm: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """The length of each phase, in seconds."""

    connecting: float = 0.0
    loaded: float = 0.0
    storm: float | None = None
    """From the reset until every charger was back; None: no storm."""
    returned: bool = True


def result(wish: Wish, course: Course, report: Report, tally: Tally) -> dict[str, Any]:
    """The output of --json."""
    storm = None
    if course.storm is not None:
        storm = {
            "seconds": round(course.storm, 3),
            "all_returned": course.returned,
            "answered": len(tally.storm),
            **_percentiles(tally.storm),
        }
    return {
        "url": wish.url,
        "chargers": wish.chargers,
        "connected": report.joined,
        "gave_up": report.gave_up,
        "sent": tally.sent,
        "answered": tally.answered,
        "errors": tally.errors,
        "errors_by_kind": {
            kind: getattr(tally, kind) for kind in ("callerror", "invalid", "timeout", "lost", "unanswered")
        },
        "refused_upgrades": dict(tally.refused),
        "disconnects": tally.disconnects,
        "interrupted": tally.interrupted,
        "commands": tally.commands,
        "rate_planned": wish.rate,
        "rate_achieved": round(len(tally.load) / course.loaded, 1) if course.loaded else 0.0,
        **_percentiles(tally.load),
        "connect": {
            "seconds": round(course.connecting, 3),
            "answered": len(tally.start),
            **_percentiles(tally.start),
        },
        "storm": storm,
        "seconds": round(course.connecting + course.loaded, 3),
        "plan_behind_ms": round(report.behind * 1000, 1),
        "bytes_per_charger": report.memory // wish.chargers,
    }


def _percentiles(latencies: Latencies) -> dict[str, float | None]:
    if not len(latencies):
        return dict.fromkeys(("p50_ms", "p95_ms", "p99_ms", "max_ms"))
    shares: dict[str, float | None] = {
        f"p{share}_ms": round(latencies.percentile(share / 100) * 1000, 3) for share in (50, 95, 99)
    }
    return shares | {"max_ms": round(latencies.longest * 1000, 3)}


def table(figures: dict[str, Any]) -> str:
    """The output without --json."""
    kinds = ", ".join(f"{count} {kind}" for kind, count in figures["errors_by_kind"].items() if count)
    given_up = f" ({figures['gave_up']} rejected)" if figures["gave_up"] else ""
    refused = ", ".join(f"{count} {reason}" for reason, count in figures["refused_upgrades"].items())
    lines = [
        ("connected", f"{figures['connected']} of {figures['chargers']}{given_up}"),
        ("sent", figures["sent"]),
        ("answered", figures["answered"]),
        ("errors", f"{figures['errors']}{f' ({kinds})' if kinds else ''}"),
        ("refused", f"upgrades: {refused or 0}"),
        ("rate", f"{figures['rate_planned']:g}/s planned, {figures['rate_achieved']:g}/s answered"),
        ("answers", _row(figures)),
        ("connect", f"{_row(figures['connect'])}  in {figures['connect']['seconds']:.1f} s"),
    ]
    if storm := figures["storm"]:
        back = "all back" if storm["all_returned"] else "not all back"
        lines.append(("storm", f"{_row(storm)}  {back} after {storm['seconds']:.1f} s"))
        lines.append(("interrupted", f"{figures['interrupted']} calls interrupted by the storm"))
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
    return "\n".join(f"{name:<12} {value}" for name, value in lines)


def _row(figures: dict[str, Any]) -> str:
    if figures["p50_ms"] is None:
        return "none"
    return "  ".join(f"{name} {figures[f'{name}_ms']:.1f} ms" for name in ("p50", "p95", "p99", "max"))
