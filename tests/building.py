"""Programs that are fetched from registries and compiled: for examples, chargers and benchmarks.

No test of ``make test`` builds any; what is built stays in ``.cache``.
"""

import hashlib
import os
import shutil
import subprocess
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path


class UnavailableError(Exception):
    """A tool or a package cannot be had on this machine; says which."""


def needs(tools: Iterable[str]) -> None:
    """UnavailableError for the first that is not installed."""
    for tool in tools:
        if shutil.which(tool) is None:
            raise UnavailableError(f"{tool} is not installed")


def run(command: Sequence[str], folder: Path, patience: float = 600) -> None:
    """One step of a build; ``patience``: seconds for a registry and a compiler. UnavailableError."""
    try:
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, timeout=patience, check=False
        )
    except subprocess.TimeoutExpired:
        raise UnavailableError(f"{command[0]}: not done in {patience:.0f} s") from None
    if done.returncode:
        lines = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
        raise UnavailableError(f"{' '.join(command[:3])}: {' / '.join(lines[-6:]) or done.returncode}")


def kept(made: Path, build: Callable[[Path], None]) -> Path:
    """The folder ``made``; where it is missing, ``build`` is called with an empty folder that becomes it."""
    if not made.exists():
        # Renamed when complete, so that an interrupted build is not taken for a whole one.
        unfinished = made.with_suffix(f".{os.getpid()}")
        unfinished.mkdir(parents=True)
        try:
            build(unfinished)
            unfinished.rename(made)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
    return made


def state(files: Iterable[Path]) -> str:
    """A short hash of their contents, in this order."""
    return hashlib.sha256(b"\n".join(file.read_bytes() for file in files)).hexdigest()[:12]
