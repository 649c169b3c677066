"""``make locust`` in short, where Locust is installed."""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

# Importing Locust would replace the sockets of this process.
pytestmark = pytest.mark.skipif(not importlib.util.find_spec("locust"), reason="make locust installs Locust")
ROOT = Path(__file__).parents[2]


def test_every_kind_of_request_is_measured_and_thresholds_decide(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    options = ["--users=24", "--seconds=12", "--processes=2", f"--html={page}"]
    thresholds = ["--threshold=error_share<0.5", "--threshold=CALL.p50_ms<0.0001"]
    command = [sys.executable, "benchmarks/locusts.py", *options, *thresholds]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    lines = re.findall(r"INFO/root: (\w+): (\d+) \((\d+) failed\)  p50 ([\d.]+) ms", done.stderr)
    assert {kind for kind, *_ in lines} == {"CALL", "backlog", "command", "connect"}, done.stderr
    assert any("." in median for *_, median in lines), "fractions of a millisecond"
    (missed,) = re.findall("threshold does not hold: (.*)", done.stderr)
    assert missed.startswith("CALL.p50_ms<0.0001 (")
    assert "v201 TransactionEvent" in page.read_text()
