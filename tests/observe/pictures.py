"""Draws the dashboards from a Prometheus that scraped a gateway in trouble: ``make pictures``.

No Grafana is involved: it draws the same queries in its own way.
"""

import sys
import tempfile
from pathlib import Path
from time import monotonic

import matplotlib as mpl
from matplotlib import pyplot
from matplotlib.axes import Axes
from matplotlib.ticker import EngFormatter, FuncFormatter, MaxNLocator, PercentFormatter

from observe.boards import BOARDS, Panel, panels
from observe.prometheus import Prometheus
from observe.rules import ROOT
from observe.scene import Scene

IMAGES = ROOT / "docs" / "images"
LOAD = 60  # seconds of simulated chargers, cut off in the middle


def main() -> None:
    """One picture a dashboard."""
    mpl.use("Agg")
    with tempfile.TemporaryDirectory(prefix="voltgate-pictures-") as folder:
        scene = Scene(Path(folder))
        try:
            scene.open()
            play(scene)
            for board in BOARDS:
                drawn = IMAGES / f"{board.stem.removeprefix('voltgate-')}.png"
                draw(list(panels(board)), scene.prometheus, drawn)
                print(drawn.relative_to(ROOT), file=sys.stderr)
        finally:
            scene.stop()


def play(scene: Scene) -> None:
    """What the pictures show: load with a reconnect storm, then NATS away, then a killed worker."""
    swarm = scene.swarm(LOAD)
    scene.trouble(lambda: swarm.process.poll() is not None)
    swarm = scene.swarm(LOAD // 2, storm=False)
    began = monotonic()
    scene.trouble(lambda: monotonic() > began + LOAD / 6)
    scene.nats.kill()
    scene.prometheus.fires("BusAway")
    scene.nats.start()
    scene.prometheus.clears("BusAway")
    scene.kill_worker()
    scene.trouble(lambda: swarm.process.poll() is not None)


def draw(shown: list[Panel], prometheus: Prometheus, file: Path) -> None:
    """The panels with curves, two in a row."""
    curves = [panel for panel in shown if panel.kind == "timeseries"]
    rows = (len(curves) + 1) // 2
    figure, places = pyplot.subplots(rows, 2, figsize=(14, 2.9 * rows), squeeze=False)
    for place in places.flat[len(curves) :]:
        place.set_visible(False)
    for place, panel in zip(places.flat, curves, strict=False):
        _draw(place, panel, prometheus)
    figure.tight_layout()
    figure.savefig(file, dpi=70)
    pyplot.close(figure)


def _draw(place: Axes, panel: Panel, prometheus: Prometheus) -> None:
    series = {
        query.name(labels): values for query in panel.queries for labels, values in query.curves(prometheus)
    }
    shown = sorted(series.items(), key=lambda one: -sum(value for _, value in one[1] if value == value))
    if panel.stacked:
        times = sorted({at for _, values in shown for at, _ in values})
        heights = [[dict(values).get(at, 0.0) for at in times] for _, values in shown]
        place.stackplot(times, heights, labels=[name for name, _ in shown], alpha=0.7)
    else:
        for name, values in shown:
            place.plot(
                [at for at, _ in values],
                [value for _, value in values],
                label=name,
                linewidth=1.2,
                clip_on=False,
            )
    place.set_title(panel.title, fontsize=10, loc="left")
    if panel.logarithmic:
        place.set_yscale("log")
    else:
        place.set_ylim(bottom=0)
        place.yaxis.set_major_locator(MaxNLocator(5, integer=panel.unit == "short"))
    formatter = FORMATS.get(panel.unit)
    if formatter is not None:
        place.yaxis.set_major_formatter(formatter)
    place.xaxis.set_major_formatter(FuncFormatter(lambda at, _: f"{int(at) // 60}:{int(at) % 60:02}"))
    place.grid(alpha=0.3)
    if shown:
        place.legend(fontsize=6.5, ncols=2, loc="upper left", framealpha=0.6)


FORMATS = {
    "percentunit": PercentFormatter(xmax=1.0),
    "s": EngFormatter(unit="s"),
    "bytes": EngFormatter(unit="B"),
    "Bps": EngFormatter(unit="B/s"),
    "ops": EngFormatter(unit="/s"),
    "short": EngFormatter(),
}

if __name__ == "__main__":
    main()
