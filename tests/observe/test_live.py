"""The shipped alerts and dashboards against a real Prometheus that scrapes a real gateway in trouble.

Every time in the copy of the rules is 60 times as short (``for: 1m`` is a second), scrapes and evaluations
come every half second. The faults, and what clears them, are real and take their own time.
"""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from observe.boards import BOARDS, panels
from observe.prometheus import faster
from observe.rules import announced
from observe.scene import Scene

pytestmark = [
    pytest.mark.skipif(not os.environ.get("OBSERVE"), reason="make observe-test"),
    pytest.mark.skipif(shutil.which("prometheus") is None, reason="needs prometheus (Debian package)"),
    pytest.mark.timeout(600),
]


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    made = Scene(tmp_path_factory.mktemp("scene"))
    try:
        made.open()
        swarm = made.swarm(20)
        made.trouble(lambda: swarm.process.poll() is not None)
        yield made
    finally:
        made.stop()


def test_nothing_fires_that_needs_somebody_once_all_is_well(scene: Scene) -> None:
    quiet = {"BusAway", "StreamFull", "WorkerMissing", "Absent", "NotReady", "MessagesDropped"}
    assert scene.prometheus.firing() & quiet == set()


def test_a_nats_that_is_away(scene: Scene) -> None:
    scene.nats.kill()
    scene.prometheus.fires("BusAway")
    scene.nats.start()
    scene.prometheus.clears("BusAway")


def test_a_worker_that_was_killed(scene: Scene) -> None:
    scene.prometheus.clears("WorkerRestarting")
    scene.kill_worker()
    scene.prometheus.fires("WorkerRestarting")
    scene.prometheus.clears("WorkerRestarting")


def test_a_stream_that_is_full(scene: Scene) -> None:
    scene.fill()
    scene.prometheus.fires("StreamFull")
    scene.make_room()
    scene.prometheus.clears("StreamFull")


def test_a_certificate_that_expires(scene: Scene) -> None:
    scene.prometheus.clears("CertificateExpiring")
    scene.certify(days=10)
    scene.prometheus.fires("CertificateExpiring")
    scene.certify(days=60)
    scene.prometheus.clears("CertificateExpiring")


def test_chargers_that_come_and_go(scene: Scene) -> None:
    scene.prometheus.clears("ReconnectStorm")
    scene.storm(lambda: "ReconnectStorm" in scene.prometheus.firing())
    scene.prometheus.clears("ReconnectStorm")


@pytest.mark.parametrize("board", BOARDS, ids=[board.stem for board in BOARDS])
def test_no_panel_is_empty(scene: Scene, board: Path) -> None:
    """Read after the faults, over the whole time."""
    asked = [(panel.title, query) for panel in panels(board) for query in panel.queries]
    served = [(title, query) for title, query in asked if not query.metrics <= announced()]
    empty = [(title, query.expression) for title, query in served if not query.curves(scene.prometheus)]
    assert asked
    assert empty == []


def test_faster_rules_change_nothing_but_times() -> None:
    rule = {"expr": 'rate(x{a="5m"}[5m]) > 3 * 86400 offset 1h', "for": "10m", "alert": "A"}
    (copy,) = faster({"groups": [{"rules": [rule]}]})["groups"][0]["rules"]
    assert copy == {
        "expr": 'rate(x{a="5m"}[5000ms]) > 3 * 86400 offset 60000ms',
        "for": "10000ms",
        "alert": "A",
    }
