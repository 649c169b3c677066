"""How the steps of a release and of ``make test-lowest`` run other programs."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]


class FailedError(Exception):
    """A step did not do what it is for; the text says what to do."""


def run(*command: str | Path, **options: Any) -> str:
    """What a command wrote to stdout. Raises FailedError with all that it wrote."""
    words = [str(word) for word in command]
    try:
        done: subprocess.CompletedProcess[str] = subprocess.run(
            words, check=False, capture_output=True, text=True, **options
        )
    except OSError as error:
        raise FailedError(f"{words[0]}: {error.strerror}") from None
    if done.returncode:
        raise FailedError(f"{' '.join(words)}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def own(program: str) -> Path:
    """A program of the environment that runs this."""
    return Path(sys.executable).parent / program


def needed(program: str, how: str) -> str:
    """The path of a program of the system. Raises FailedError."""
    found = shutil.which(program)
    if found is None:
        raise FailedError(f"{program} is missing: {how}")
    return found


def bare() -> dict[str, str]:
    """The environment without what makes a Python find packages of another one."""
    dropped = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")
    return {name: value for name, value in os.environ.items() if name not in dropped}
