"""``make faults``: fifty faults in each set-up, and the table of what became of everything."""

import argparse
import asyncio
import logging
import random
import sys
import tempfile
from pathlib import Path

import structlog

from faults.catalogue import faults
from faults.run import Plan, StuckError, run
from faults.setups import SETUPS
from faults.verdict import Verdict


def main() -> int:
    arguments = _arguments()
    # Chargers are lost and refused here all the time.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    seed = arguments.seed if arguments.seed is not None else random.randrange(10_000)
    print(f"seed {seed}", flush=True)
    verdicts: dict[str, Verdict] = {}
    for name in arguments.setup or SETUPS:
        setup = SETUPS[name]
        print(setup.name, file=sys.stderr, flush=True)
        plan = Plan(seed, arguments.faults, arguments.chargers, arguments.between)
        with tempfile.TemporaryDirectory(prefix="voltgate-faults-") as folder:
            try:
                verdicts[name] = asyncio.run(run(setup, plan, Path(folder), faults(setup), _tell))
            except StuckError as stuck:
                print(f"{stuck}\nrepeat with --setup {name} --seed {seed}")
                return 1
    print(table(verdicts, arguments.faults))
    wrong = [f"{name}: {fault}" for name, verdict in verdicts.items() for fault in verdict.faults]
    print("\n".join([*wrong, f"repeat with --seed {seed}"]) if wrong else "nothing is wrong")
    return 1 if wrong else 0


def table(verdicts: dict[str, Verdict], faults: int) -> str:
    """Set-ups beside each other, a count a line."""
    rows = {"": list(verdicts), "faults": [str(faults)] * len(verdicts)}
    for name in next(iter(verdicts.values())).counts:
        rows[name] = [str(verdict.counts[name]) for verdict in verdicts.values()]
    return "\n".join(
        name.ljust(20) + "".join(value.rjust(12) for value in values) for name, values in rows.items()
    )


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="faults", description=__doc__)
    parser.add_argument("--seed", type=int, help="repeats the faults of an earlier run")
    parser.add_argument("--faults", type=int, default=50, help="in each set-up")
    parser.add_argument("--setup", action="append", choices=SETUPS, help="only this one")
    parser.add_argument("--chargers", type=int, default=15)
    parser.add_argument("--between", type=int, default=200, help="answers after each fault")
    return parser.parse_args()


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:  # everything it started is gone by now
        sys.exit(130)
