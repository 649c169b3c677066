"""Inputs that are kept in ``tests/vectors/fuzz``: a file a target, a line an input, in Python's spelling."""

import ast
from collections.abc import Iterable
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "vectors" / "fuzz"
MOST = 60  # inputs of a target, the shortest ones
LONGEST = 300  # bytes


def kept(target: str) -> list[bytes]:
    """The inputs of a target."""
    lines = (FOLDER / f"{target}.txt").read_text().splitlines()
    return [ast.literal_eval(line) for line in lines]


def keep(target: str, found: Iterable[bytes]) -> None:
    """Add to them what is short; those that were kept stay."""
    before = set(kept(target))
    short = sorted({*found} - before, key=lambda one: (len(one), one))
    short = [one for one in short if len(one) <= LONGEST][: max(0, MOST - len(before))]
    (FOLDER / f"{target}.txt").write_text("".join(f"{one!r}\n" for one in sorted(before | set(short))))
