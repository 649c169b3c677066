"""``make test-lowest``: the unit tests with the lowest and the newest dependencies, on each supported Python.

The wheel is built once: it is for all of them. The packages that only tests need are the newest each time. A
Python that is not on this machine is named, and the exit code is 3; ``LOWEST="3.12:lowest"`` runs one.
"""

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

from steps import ROOT, FailedError, bare, own, run

WORK = ROOT / ".cache" / "lowest"
PYTHONS = ("3.11", "3.12", "3.13")
RESOLUTIONS = {"lowest": "lowest-direct", "newest": "highest"}
# Those of `make test-unit`, and what of the command line needs no server: typer and rich break there first.
ELSEWHERE = (
    "e2e",
    "faults",
    "attack",
    "cli",
    "charger",
    "conformance",
    "csms/pages",
    "deploy",
    "docs",
    "examples",
    "observe",
    "release",
    "strangers",
)
COMMANDS = (
    "test_cli.py",
    "test_config.py",
    "test_hints.py",
    "test_lines.py",
    "test_version.py",
    "test_wrong.py",
)


def python(version: str) -> Path:
    """An interpreter of this machine, PATH or pyenv. Raises FailedError."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    found = [*sorted(pyenv.glob(f"{version}.*/bin/python"))]
    if name := shutil.which(f"python{version}"):
        found.insert(0, Path(name))
    for one in found:
        said = subprocess.run(
            [one, "--version"], check=False, capture_output=True, text=True
        )  # a shim may fail
        if said.returncode == 0 and said.stdout.startswith(f"Python {version}."):
            return one
    raise FailedError(f"no Python {version} here")


def wheel() -> Path:
    """The wheel of this tree."""
    out = WORK / "wheel"
    shutil.rmtree(out, ignore_errors=True)
    run(own("maturin"), "build", "--release", "--locked", "--out", out, cwd=ROOT)
    (made,) = out.glob("*.whl")
    return made


def environment(interpreter: Path, name: str, resolution: str, made: Path) -> Path:
    """A fresh environment with the dependencies at one end of their ranges."""
    folder = WORK / name
    run(own("uv"), "venv", "--quiet", "--clear", "--python", interpreter, folder)
    pins = folder / "pins.txt"
    lock: list[str | Path] = [own("uv"), "pip", "compile", "--quiet", "--python", folder / "bin" / "python"]
    run(
        *lock, "--resolution", resolution, "--extra", "otel", "--extra", "embedded", "--extra", "csms",
        "--no-header", "--no-annotate", "--output-file", pins, "pyproject.toml", cwd=ROOT,
    )  # fmt: skip
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]["dev"]
    pinned = {line.partition("==")[0] for line in pins.read_text().splitlines()}
    tests = [one for one in extras if one.partition(">=")[0].partition("[")[0] not in pinned]
    install: list[str | Path] = [
        own("uv"),
        "pip",
        "install",
        "--quiet",
        "--python",
        folder / "bin" / "python",
    ]
    run(*install, "--constraints", pins, "--requirements", pins, made, *tests)
    return folder


def tested(folder: Path) -> str:
    """pytest's last line. Raises FailedError."""
    ignored = [word for name in ELSEWHERE for word in ("--ignore", f"tests/{name}")]
    pytest = [str(folder / "bin" / "python"), "-m", "pytest", "-q", "-n", "logical", "--maxprocesses", "4"]
    # Old releases warn of newer ones that they are used with.
    pytest += ["-o", "filterwarnings=ignore"]
    said = [
        run(*pytest, *ignored, "tests", cwd=ROOT, env=bare()),
        run(*pytest, *(f"tests/cli/{name}" for name in COMMANDS), cwd=ROOT, env=bare()),
    ]
    return ", ".join(text.strip().splitlines()[-1] for text in said)


def main() -> int:
    """0: all passed; 1: some failed; 3: none failed and a Python is missing."""
    wanted = os.environ.get("LOWEST", "")
    made = wheel()
    code = 0
    for version in PYTHONS:
        for end, resolution in RESOLUTIONS.items():
            name = f"{version}:{end}"
            if wanted not in ("", name):
                continue
            try:
                interpreter = python(version)
            except FailedError as error:
                print(f"{name}: NOT RUN: {error}", file=sys.stderr, flush=True)
                code = code or 3
                continue
            try:
                print(
                    f"{name}: {tested(environment(interpreter, name.replace(':', '-'), resolution, made))}",
                    flush=True,
                )
            except FailedError as error:
                print(f"{name}: FAILED: {error}", file=sys.stderr, flush=True)
                code = 1
    return code


if __name__ == "__main__":
    sys.exit(main())
