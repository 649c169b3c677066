"""``make faults``: fifty faults in each set-up, and a table of what became of everything.

``--repeat N`` (``make faults-repeat``) runs the short form N times and stops at the first run that fails.
"""

import argparse
import asyncio
import logging
import random
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from time import monotonic

import structlog

from faults.catalogue import faults
from faults.cuts import Fault
from faults.run import Plan, StuckError, run
from faults.setups import SETUPS, Setup
from faults.short import short
from faults.verdict import Verdict


def main() -> int:
    arguments = _arguments()
    # Chargers are lost and refused here all the time.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    seed = arguments.seed if arguments.seed is not None else random.randrange(10_000)
    setups = {name: SETUPS[name] for name in arguments.setup or SETUPS}
    if arguments.repeat:
        return _repeat(next(iter(setups.values())), seed, arguments.repeat)
    print(f"seed {seed}", flush=True)
    verdicts: dict[str, Verdict] = {}
    for name, setup in setups.items():
        print(setup.name, file=sys.stderr, flush=True)
        plan = Plan(seed, arguments.faults, arguments.chargers, arguments.between)
        try:
            verdicts[name] = _run(setup, plan, faults(setup))
        except StuckError as stuck:
            print(f"{stuck}\nrepeat with --setup {name} --seed {seed}")
            return 1
    print(table(verdicts, arguments.faults))
    wrong = [f"{name}: {fault}" for name, verdict in verdicts.items() for fault in verdict.faults]
    print("\n".join([*wrong, f"repeat with --seed {seed}"]) if wrong else "nothing is wrong")
    return 1 if wrong else 0


def _repeat(setup: Setup, seed: int, times: int) -> int:
    """The short form with one seed after the other; a run that gets stuck names everything unsettled."""
    for number in range(1, times + 1):
        plan, chosen = short(seed)
        line, began = f"run {number} of {times}, seed {seed}, {', '.join(chosen)}", monotonic()
        try:
            wrong = _run(setup, plan, chosen).faults
        except StuckError as stuck:
            wrong = [str(stuck)]
        if wrong:
            print(f"{line}: FAILED", *wrong, f"again with --repeat 1 --seed {seed}", sep="\n")
            return 1
        print(f"{line}: nothing is wrong, {monotonic() - began:.0f} s", flush=True)
        seed += 1
    return 0


def _run(setup: Setup, plan: Plan, chosen: Mapping[str, Fault]) -> Verdict:
    with tempfile.TemporaryDirectory(prefix="voltgate-faults-") as folder:
        return asyncio.run(run(setup, plan, Path(folder), chosen, _tell))


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
    parser.add_argument("--repeat", type=int, metavar="N", help="run the short form N times instead")
    return parser.parse_args()


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:  # everything it started is gone by now
        sys.exit(130)
