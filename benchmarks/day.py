"""``make swarm-day``: `voltgate swarm day`, all of it, against a gateway that this program starts.

Run: ``python benchmarks/day.py [OPTIONS]``; the options are those of ``voltgate swarm day``. The exit code is
the swarm's.
"""

import subprocess
import sys

from locusts import REPORT, gateway

PAGE = REPORT.with_name("day.html")


def main() -> int:
    """See the module."""
    PAGE.parent.mkdir(parents=True, exist_ok=True)
    with gateway() as (url, _):
        command = [sys.executable, "-m", "voltgate", "swarm", "day", "--url", url, "--report", str(PAGE)]
        code = subprocess.run([*command, *sys.argv[1:]], check=False).returncode
    print(f"report: {PAGE}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
