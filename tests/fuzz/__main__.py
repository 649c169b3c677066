"""``make fuzz``: every target for a minute, from the inputs that are kept; what was found fails the run.

``FUZZ="--seconds 1800 --only slice --keep"`` runs one longer, and keeps short inputs that add coverage.
"""

import argparse
import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from time import monotonic

import ocpp

from fuzz.catalogue import CRATE, PYTHON, RUST, TARGETS
from fuzz.seeds import keep, kept

ROOT = Path(__file__).parents[2]
WORK = ROOT / ".cache" / "fuzz"
BUILT = ROOT / "target" / "fuzzing"
SLOWEST = 20  # seconds that one input may take
MEMORY = 2000  # MB of the process
INTERRUPTED = 72  # the exit code of libFuzzer on a signal
TESTS = str(ROOT / "tests")
ENVIRONMENT = os.environ | {"OCPP_PACKAGE": str(Path(ocpp.__path__[0])), "PYTHONPATH": TESTS}


def main() -> int:
    """The exit code: 1 where a target found something."""
    arguments = _arguments()
    targets = [one for one in TARGETS if not arguments.only or any(part in one for part in arguments.only)]
    if set(targets) & set(RUST):
        # Stable Rust has the coverage and not the sanitizers; the core has no unsafe code for them to watch.
        options = ["--fuzz-dir", str(CRATE), "--sanitizer", "none", "--target-dir", str(BUILT)]
        subprocess.run(["cargo", "fuzz", "build", *options], check=True)
    found = [one for one in targets if not _runs_clean(one, arguments.seconds)]
    if arguments.keep:
        for target in targets:
            _keep(target)
    print(f"found something: {', '.join(found)}" if found else "nothing found")
    return int(bool(found))


def _argv(target: str, corpus: Path, options: Sequence[str]) -> list[str]:
    options = [
        f"-artifact_prefix={WORK / target}-", f"-timeout={SLOWEST}", f"-rss_limit_mb={MEMORY}", *options,
    ]  # fmt: skip
    if target in PYTHON:
        return [sys.executable, "-m", "fuzz.guided", target, str(corpus), *options]
    (binary,) = BUILT.glob(f"*/release/{target}")
    return [str(binary), str(corpus), *options]


def _runs_clean(target: str, seconds: int) -> bool:
    corpus, began = _unpacked(target), monotonic()
    argv = _argv(target, corpus, [f"-max_total_time={seconds}", "-print_final_stats=1"])
    with (WORK / f"{target}.log").open("w+") as log:
        code = subprocess.run(argv, env=ENVIRONMENT, stdout=log, stderr=log, check=False).returncode
        log.seek(0)
        said = log.read()
    runs = int(re.findall(r"executed_units: *(\d+)", said)[-1:][0]) if "executed_units" in said else 0
    coverage = re.findall(r"cov: (\d+) ft: \d+ corp: (\d+)", said)[-1:] or [("0", "0")]
    end = {0: "clean", INTERRUPTED: "interrupted"}.get(code, f"FOUND, see {WORK / target}.log")
    print(
        f"{target:<10}{monotonic() - began:6.0f} s {runs:12,} inputs, coverage {coverage[0][0]:>5}, "
        f"kept {coverage[0][1]:>5}: {end}",
        flush=True,
    )
    return code == 0


def _unpacked(target: str) -> Path:
    """The folder of its inputs: what was kept, and what earlier runs here have found."""
    corpus = WORK / "corpus" / target
    corpus.mkdir(parents=True, exist_ok=True)
    for data in kept(target):
        (corpus / hashlib.sha1(data, usedforsecurity=False).hexdigest()).write_bytes(data)
    return corpus


def _keep(target: str) -> None:
    """Of what was found, the least that has all of the coverage."""
    least = WORK / "least" / target
    shutil.rmtree(least, ignore_errors=True)
    least.mkdir(parents=True)
    argv = _argv(target, least, ["-merge=1", str(WORK / "corpus" / target)])
    subprocess.run(argv, env=ENVIRONMENT, check=True, capture_output=True)
    keep(target, (path.read_bytes() for path in least.iterdir()))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="fuzz", description=__doc__)
    parser.add_argument("--seconds", type=int, default=60, help="for each target")
    parser.add_argument(
        "--only", action="append", default=[], metavar="TEXT", help="targets whose names contain it"
    )
    parser.add_argument("--keep", action="store_true", help="add short inputs to tests/vectors/fuzz")
    arguments = parser.parse_args()
    for part in arguments.only:
        if not any(part in one for one in TARGETS):
            parser.error(f"{part} is in the name of no target: {', '.join(TARGETS)}")
    return arguments


if __name__ == "__main__":
    sys.exit(main())
