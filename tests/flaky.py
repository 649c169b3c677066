"""``make flaky N=5``: the pytest of ``make test`` N times beside a busy loop on every core; a line a run."""

import argparse
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from time import monotonic

# Ends with the process that started it.
BUSY = [
    sys.executable,
    "-c",
    "import os; own = os.getppid()\nwhile os.getppid() == own: sum(range(1_000_000))",
]
SUITE = [sys.executable, "-m", "pytest", "-q", "-n", "5", "-m", "not long"]


def main() -> int:
    parser = argparse.ArgumentParser(prog="flaky", description=__doc__)
    parser.add_argument("times", type=int, nargs="?", default=5)
    parser.add_argument("tests", nargs="*", help="only these, as pytest takes them")
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="voltgate-flaky-"))
    load = [subprocess.Popen(BUSY) for _ in range(os.cpu_count() or 1)]
    failed = 0
    try:
        for number in range(1, arguments.times + 1):
            log, began = folder / f"run{number}.log", monotonic()
            with log.open("wb") as out:
                code = subprocess.run(
                    [*SUITE, *arguments.tests], stdout=out, stderr=out, check=False
                ).returncode
            lines = log.read_text(errors="replace").splitlines()
            print(f"run {number}: {lines[-1].strip('= ') if lines else 'no output'}", flush=True)
            for line in lines:
                if re.match("(FAILED|ERROR) ", line):
                    print(f"  {line}")
            if code:
                failed += 1
                print(f"  all of it: {log}, {monotonic() - began:.0f} s", flush=True)
    finally:
        for process in load:
            process.kill()
            process.wait()
    print(f"{failed} of {arguments.times} runs failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
