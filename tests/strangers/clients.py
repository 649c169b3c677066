"""The clients: where each comes from, and how its driver is built and started.

What is fetched and built stays in ``.cache/strangers``, one folder for each state of a driver's sources.
"""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from building import kept, needs, run, state
from strangers.ways import DIRECT, OPEN, WAYS, Way

HERE = Path(__file__).parent
CACHE = HERE.parent.parent / ".cache" / "strangers"
NPM = ("ocpp-rpc@2.2.1", "ocpp-ts@0.3.0")


@dataclass(frozen=True)
class Client:
    """``build`` fetches and compiles in an empty folder; ``command`` starts a driver from there."""

    name: str
    versions: Sequence[str]
    sources: str  # folder
    tools: Sequence[str]
    build: Callable[[Path], None]
    command: Callable[[Path], list[str]]
    logs_in: bool = True
    """Whether its driver knows passwords and certificates."""

    @property
    def visits(self) -> list[tuple[str, Way]]:
        """Versions with their ways: the first version every way, the others directly."""
        first, *others = self.versions
        if not self.logs_in:
            return [(version, OPEN) for version in self.versions]
        return [(first, way) for way in WAYS] + [(version, way) for version in others for way in DIRECT]

    def ready(self) -> list[str]:
        """The command of its driver, built where it is not. UnavailableError."""
        needs(self.tools)
        files = sorted(path for path in (HERE / self.sources).iterdir() if path.is_file())
        # This file names packages and versions.
        return self.command(kept(CACHE / f"{self.sources}-{state([*files, Path(__file__)])}", self.build))


def nothing(folder: Path) -> None:
    """mobilityhouse's package is a dependency of the product."""


def npm(folder: Path) -> None:
    # Neither package needs a script; others' scripts need not run here.
    quiet = ("--no-audit", "--no-fund", "--no-package-lock", "--ignore-scripts", "--loglevel=error")
    run(["npm", "install", *quiet, "--prefix", str(folder), *NPM], folder)


def go(folder: Path) -> None:
    run(["go", "build", "-mod=readonly", "-buildvcs=false", "-o", str(folder / "driver"), "."], HERE / "go")


def java(folder: Path) -> None:
    into = f"-DoutputDirectory={folder / 'jars'}"
    pom = str(HERE / "java" / "pom.xml")
    run(
        ["mvn", "-q", "-B", "-f", pom, "dependency:copy-dependencies", "-DincludeScope=runtime", into], folder
    )
    run(["javac", "-cp", f"{folder}/jars/*", "-d", str(folder), str(HERE / "java" / "Driver.java")], folder)


def node(script: str) -> Callable[[Path], list[str]]:
    return lambda made: ["env", f"NODE_PATH={made / 'node_modules'}", "node", str(HERE / "node" / script)]


def java_command(made: Path) -> list[str]:
    # Three of its threads poll; a small heap and one compiler leave the cores to the others.
    return ["java", "-Xmx96m", "-XX:TieredStopAtLevel=1", "-cp", f"{made}:{made}/jars/*", "Driver"]


CLIENTS = [
    Client(
        "mobilityhouse ocpp",
        ("1.6", "2.0.1", "2.1"),
        "python",
        (),
        nothing,
        lambda _: [sys.executable, str(HERE / "python" / "driver.py")],
    ),
    Client("ocpp-rpc", ("1.6", "2.0.1", "2.1"), "node", ("node", "npm"), npm, node("rpc.js")),
    Client("ocpp-ts", ("1.6",), "node", ("node", "npm"), npm, node("ts.js"), logs_in=False),
    Client("ocpp-go", ("1.6", "2.0.1"), "go", ("go",), go, lambda made: [str(made / "driver")]),
    Client("Java-OCA-OCPP", ("1.6",), "java", ("java", "javac", "mvn"), java, java_command, logs_in=False),
]
