"""What a soak calls flat, and a quarter of a minute of it."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import soak

ROOT = Path(__file__).parents[2]


def rows(growth: float) -> list[dict[str, float]]:
    """A warm-up, then so many MB more from the second quarter to the last."""
    first = [{"gateway_mb": 60.0 + number, "gateway_fds": 50.0, "nats_fds": 20.0} for number in range(25)]
    rest = [
        {"gateway_mb": 100.0 + growth * number / 75, "gateway_fds": 1050.0, "nats_fds": 20.0}
        for number in range(75)
    ]
    return first + rest


@pytest.mark.parametrize(("growth", "flat"), [(0.0, True), (4.0, True), (-20.0, True), (20.0, False)])
def test_the_last_quarter_is_compared_with_the_second(growth: float, flat: bool) -> None:
    assert [one for _, one in soak.verdicts(rows(growth))] == [flat, True, True]


@pytest.mark.full
def test_a_short_soak_has_its_faults_and_its_page(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    options = ["--minutes=0.25", "--chargers=100", "--rate=20", f"--report={page}"]
    command = [sys.executable, "benchmarks/soak.py", *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr, done.stderr
    assert len(re.findall("(?m)^(?:flat|GROWS): ", done.stdout)) == 3, done.stdout
    text = page.read_text()
    assert text.count("<svg") == 4
    assert "Soak: 100 chargers" in text
