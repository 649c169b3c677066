"""The last release, built from history into .cache/: its gateway runs beside the one of this tree."""

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
UNTAGGED = "53253e6"  # counts as the last release until the first tag


class UnavailableError(Exception):
    """It cannot be built here; says why."""


def build() -> Path:
    """The folder to put in front of PYTHONPATH. Takes minutes the first time. UnavailableError."""
    revision = _revision()
    folder = ROOT / ".cache" / "last-release" / revision
    site = folder / "site"
    if site.is_dir():
        return site
    shutil.rmtree(folder, ignore_errors=True)
    source = folder / "source"
    source.mkdir(parents=True)
    archive = subprocess.run(["git", "archive", revision], cwd=ROOT, check=True, capture_output=True).stdout
    subprocess.run(["tar", "-x"], cwd=source, check=True, input=archive)
    fetched = subprocess.run(["cargo", "fetch", "--locked"], cwd=source, check=False, capture_output=True)
    if fetched.returncode:
        raise UnavailableError(f"its crates cannot be fetched: {fetched.stderr.decode()[-300:]}")
    python = [sys.executable, "-m"]
    wheels = ["--out", str(folder), "--target-dir", str(folder / "target"), "-i", sys.executable]
    subprocess.run([*python, "maturin", "build", "--release", "--quiet", *wheels], cwd=source, check=True)
    (wheel,) = folder.glob("*.whl")
    # Its dependencies are those of this tree: what is compared is the gateway.
    install = ["pip", "install", "--quiet", "--no-deps", "--target", str(folder / "new"), str(wheel)]
    subprocess.run([*python, *install], check=True)
    shutil.rmtree(folder / "target")
    (folder / "new").rename(site)
    return site


def _revision() -> str:
    def git(*arguments: str) -> str:
        try:
            done = subprocess.run(["git", *arguments], cwd=ROOT, check=False, capture_output=True, text=True)
        except FileNotFoundError:
            raise UnavailableError("git is missing") from None
        return done.stdout.strip() if done.returncode == 0 else ""

    name = git("describe", "--tags", "--abbrev=0") or UNTAGGED
    commit = git("rev-parse", "--verify", "--quiet", f"{name}^{{commit}}")
    if not commit:
        raise UnavailableError(f"{name} is not in the history of this checkout")
    return commit
