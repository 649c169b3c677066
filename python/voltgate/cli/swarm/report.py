"""The HTML report of a swarm (``--report``): tables and plots in one file that loads nothing else."""

import math
from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

from voltgate.cli.swarm.figures import PERCENTILES, table

WIDTH, HEIGHT, LEFT, BOTTOM = 860, 220, 64, 26
COLOURS = ("#1f6feb", "#d29922", "#cf222e", "#1a7f37")

# Title, unit, logarithmic, and the members of a row of the series.
PLOTS: tuple[tuple[str, str, bool, dict[str, str]], ...] = (
    ("Calls", "/s", False, {"sent_per_second": "sent", "answered_per_second": "answered"}),
    ("Answer times", "ms", True, {"p50_ms": "p50", "p95_ms": "p95", "p99_ms": "p99", "p999_ms": "p99.9"}),
    ("Chargers", "", False, {"connected": "connected"}),
    ("Open calls", "", False, {"open": "open"}),
    (
        "Faults per second",
        "",
        False,
        {"errors": "errors", "refused": "refused upgrades", "disconnects": "lost"},
    ),
)
STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;max-width:900px;margin:2rem auto;padding:0 1rem}"
    "table{border-collapse:collapse}td,th{padding:.15rem .8rem .15rem 0;text-align:right}"
    "td:first-child,th:first-child{text-align:left}pre{overflow-x:auto}"
    "svg text{font:12px system-ui,sans-serif}.held{color:#1a7f37}.missed{color:#cf222e}"
)


def page(figures: dict[str, Any], series: Sequence[dict[str, Any]]) -> str:
    """The whole page."""
    title = f"voltgate swarm: {figures['scenario']}, {figures['chargers']} chargers"
    versions = f"gateway {figures['gateway'] or 'of unknown version'}, swarm {figures['voltgate']}"
    parts = [
        f"<h1>{escape(title)}</h1><p>{escape(figures['url'])}, {escape(versions)}</p>",
        *_thresholds(figures["thresholds"]),
        *(plot(series, *one) for one in PLOTS),
        "<h2>By action</h2>",
        _table(["action", "count", "errors", *PERCENTILES], _rows(figures["actions"])),
        *_search(figures["find_rate"]),
        f"<h2>Result</h2><pre>{escape(table(figures))}</pre>",
    ]
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(title)}</title>'
        f"<style>{STYLE}</style>{''.join(parts)}</html>\n"
    )


def _thresholds(verdicts: list[dict[str, Any]]) -> Iterable[str]:
    for one in verdicts:
        kind = "held" if one["held"] else "missed"
        yield f'<p class="{kind}">{escape(one["threshold"])}: {kind} ({one["value"]})</p>'


def _rows(actions: dict[str, dict[str, Any]]) -> Iterable[list[Any]]:
    for action, one in actions.items():
        yield [action, one["count"], one["errors"], *(one[name] for name in PERCENTILES)]


def _search(found: dict[str, Any] | None) -> Iterable[str]:
    if found is not None:
        columns = ["rate", "rate_achieved", "errors", *PERCENTILES, "held"]
        yield f"<h2>Highest rate with {escape(found['until'])}: {found['rate']:g}/s</h2>"
        yield _table(columns, ([step[name] for name in columns] for step in found["steps"]))


def _table(columns: list[str], rows: Iterable[list[Any]]) -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name in columns)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(_cell(one))}</td>" for one in row) + "</tr>" for row in rows
    )
    return f"<table><tr>{head}</tr>{body}</table>"


def _cell(value: Any) -> str:
    return "" if value is None else f"{value:,.1f}" if isinstance(value, float) else str(value)


def plot(
    series: Sequence[dict[str, Any]], title: str, unit: str, logarithmic: bool, names: dict[str, str]
) -> str:
    """Lines over the seconds of the run; a gap where nothing was measured."""
    values = [row[name] for row in series for name in names if row[name] is not None]
    if not values:
        return ""
    end = max(series[-1]["t"], 1.0)
    top = max(*values, 1e-9)
    low = max(min((value for value in values if value > 0), default=1.0), 1e-3) if logarithmic else 0.0
    top = max(top, low * 10) if logarithmic else top * 1.05

    def height(value: float) -> float:
        share: float = math.log(max(value, low) / low, top / low) if logarithmic else value / top
        return (HEIGHT - BOTTOM) * (1 - share) + 6

    marks = [low * (top / low) ** (part / 4) if logarithmic else top * part / 4 for part in range(5)]
    drawn = [
        f'<line x1="{LEFT}" x2="{WIDTH}" y1="{height(mark):.1f}" y2="{height(mark):.1f}" stroke="#ddd"/>'
        f'<text x="{LEFT - 6}" y="{height(mark) + 4:.1f}" text-anchor="end">{mark:.4g}</text>'
        for mark in marks
    ]
    for name, colour in zip(names, COLOURS, strict=False):
        for line in _lines(series, name):
            points = " ".join(
                f"{LEFT + (WIDTH - LEFT) * at / end:.1f},{height(value):.1f}" for at, value in line
            )
            drawn.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
    drawn += [
        f'<text x="{LEFT}" y="{HEIGHT}">0 s</text>',
        f'<text x="{WIDTH}" y="{HEIGHT}" text-anchor="end">{end:.0f} s</text>',
    ]
    legend = " ".join(
        f'<span style="color:{colour}">{escape(label)}</span>'
        for label, colour in zip(names.values(), COLOURS, strict=False)
    )
    heading = f"<h2>{escape(title)}{f', {unit}' if unit else ''}</h2><p>{legend}</p>"
    return f'{heading}<svg viewBox="0 0 {WIDTH} {HEIGHT + 6}" width="100%">{"".join(drawn)}</svg>'


def _lines(series: Sequence[dict[str, Any]], name: str) -> Iterable[list[tuple[float, float]]]:
    line: list[tuple[float, float]] = []
    for row in series:
        if row[name] is None:
            if line:
                yield line
            line = []
        else:
            line.append((row["t"], row[name]))
    if line:
        yield line
