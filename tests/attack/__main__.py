"""``make attack``: every attack of the catalogue beside well-behaved chargers, and a table of its effects."""

import argparse
import asyncio
import os
import shutil
import sys
from time import monotonic

from attack.catalogue import ATTACKS
from attack.run import Result, Size, run
from attack.verdict import HEADER, line

LONGEST = 900.0  # seconds


def main() -> int:
    """The exit code: 1 where something is out of bounds."""
    arguments = _arguments()
    size = Size(arguments.chargers, arguments.rate, arguments.samples, arguments.rounds)
    names = [name for name in ATTACKS if not arguments.only or any(part in name for part in arguments.only)]
    print(
        f"{size.chargers} chargers, {size.rate:,.0f} CALLs/s, {size.samples:,} answers a window, "
        f"{size.rounds} rounds\n{HEADER}",
        flush=True,
    )
    began = monotonic()
    missing = {name: tool for name in names if (tool := ATTACKS[name].tool) and not shutil.which(tool)}
    for name, tool in missing.items():
        print(f"{name:<34}left out: {tool} is not installed")
    faults = asyncio.run(run([name for name in names if name not in missing], size, _told))
    # CI has every tool: what is missing there is a fault.
    faults += list(missing) if os.environ.get("CI") else []
    seconds = monotonic() - began
    print(f"{seconds:.0f} s", "; ".join(faults) if faults else "everything held", sep="; ")
    return 1 if faults or seconds > LONGEST else 0


def _told(result: Result) -> None:
    print(line(result.name, result.figures, result.faults), flush=True)


def _arguments() -> argparse.Namespace:
    size = Size()
    parser = argparse.ArgumentParser(prog="attack", description=__doc__)
    parser.add_argument("--only", action="append", metavar="TEXT", help="attacks whose names contain it")
    parser.add_argument("--chargers", type=int, default=size.chargers)
    parser.add_argument("--rate", type=float, default=size.rate, help="CALLs per second of all of them")
    parser.add_argument("--samples", type=int, default=size.samples, help="answers in a window")
    parser.add_argument("--rounds", type=int, default=size.rounds)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
