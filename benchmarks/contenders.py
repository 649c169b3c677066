"""Who is compared by ``make peers``: where each comes from, how it is built and started.

The servers in peers/ are ours, each written as the README or the example of its library shows one; the
libraries come from their public registries. What is fetched and built stays in ``.cache/peers``, one folder
for each state of the sources.
"""

import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path

import servers
from measure import Case, Start

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from building import kept, needs, run, state

HERE = Path(__file__).parent / "peers"
CACHE = HERE.parent.parent / ".cache" / "peers"
# The default passes a faulty message on, marked as such.
STRICT, LIVE = '[policy.v16.MeterValues]\nvalidation = "strict"\n', 'class = "live"\n'
PATIENCE = 900  # seconds for a registry and a compiler


@dataclass(frozen=True)
class Sources:
    """A folder of peers/; ``build`` is called with it and with an empty folder for the result."""

    folder: str
    tools: Sequence[str]
    build: Callable[[Path, Path], None]

    def ready(self) -> Path:
        """The folder of the result, built where it is not. UnavailableError."""
        needs(self.tools)
        source = HERE / self.folder
        files = sorted(path for path in source.rglob("*") if path.is_file())
        return kept(CACHE / f"{self.folder}-{state(files)}", lambda made: self.build(source, made))


@dataclass(frozen=True)
class Contender:
    """One row of the table. ``command`` makes the command without its port, of what ``sources`` built."""

    name: str
    made_of: str
    """Packages with their versions."""
    does: str
    """What a message gets, in words."""
    start: Start | None = None
    sources: Sources | None = None
    command: Callable[[Path], list[str]] = lambda made: []
    stored: bool = False
    unchecked: bool = False

    def case(self) -> Case:
        """It with MeterValues. UnavailableError."""
        start = self.start
        if start is None:
            command = self.command(self.sources.ready() if self.sources else HERE)
            start = partial(servers.listening, command, self.name)
        return Case(self.name, start, stored=self.stored, unchecked=self.unchecked)


def _npm(source: Path, made: Path) -> None:
    shutil.copytree(source, made, dirs_exist_ok=True)
    # Neither package needs a script. Peers of ocpp-ws-io are web frameworks, which are not used here.
    quiet = ("--no-audit", "--no-fund", "--no-package-lock", "--ignore-scripts", "--legacy-peer-deps")
    run(["npm", "install", *quiet, "--loglevel=error"], made, PATIENCE)


def _go(source: Path, made: Path) -> None:
    run(["go", "build", "-mod=readonly", "-buildvcs=false", "-o", f"{made}/", "./..."], source, PATIENCE)


def _cargo(source: Path, made: Path) -> None:
    target = ["--target-dir", str(made / "target")]
    run(["cargo", "build", "--release", "--locked", "--quiet", *target], source, PATIENCE)
    for program in ("kit", "plain"):
        (made / "target/release" / program).rename(made / program)
    shutil.rmtree(made / "target")


NODE = Sources("node", ("node", "npm"), _npm)
GO = Sources("go", ("go",), _go)
RUST = Sources("rust", ("cargo",), _cargo)


def _node(script: str) -> Callable[[Path], list[str]]:
    return lambda made: ["node", str(made / script)]


def _program(name: str) -> Callable[[Path], list[str]]:
    return lambda made: [str(made / name)]


def _pinned(file: str, name: str) -> str:
    """``name`` with the version that a file of peers/ asks for."""
    found = re.search(
        rf'{re.escape(name)}"?[ :=]+(?:\{{ version = )?"?[=v]*([\d.]+)', (HERE / file).read_text()
    )
    assert found, (file, name)
    return f"{name.removeprefix('github.com/')} {found[1]}"


def _tool(name: str, *command: str) -> str:
    if shutil.which(command[0]) is None:
        return ""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    found = re.search(r"\d+(\.\d+)+", done.stdout)
    return f", {name} {found[0]}" if found else ""


def everyone() -> list[Contender]:
    """All of them."""
    python = f"Python {platform.python_version()}"
    own = f"voltgate {version('voltgate')}, {python}"
    node, go = _tool("Node", "node", "--version"), _tool("Go", "go", "version")
    rust = _tool("Rust", "rustc", "--version")
    sockets, library = "github.com/gorilla/websocket", "github.com/lorenzodonini/ocpp-go"
    return [
        Contender("floor", f"uvloop {version('uvloop')}, {python}", "nothing", servers.floor, unchecked=True),
        Contender("Voltgate, live", own, "validated, published", partial(servers.voltgate, STRICT + LIVE)),
        Contender(
            "Voltgate, durable",
            own,
            "validated, stored, acknowledged",
            partial(servers.voltgate, STRICT),
            stored=True,
        ),
        Contender(
            "mobilityhouse",
            f"ocpp {version('ocpp')}, {python}",
            "validated",
            servers.mobilityhouse,
        ),
        Contender(
            "ocpp-rpc",
            _pinned("node/package.json", "ocpp-rpc") + node,
            "validated",
            sources=NODE,
            command=_node("rpc.js"),
        ),
        Contender(
            "ocpp-ws-io",
            _pinned("node/package.json", "ocpp-ws-io") + node,
            "validated",
            sources=NODE,
            command=_node("wsio.js"),
        ),
        Contender(
            "ocpp-go",
            _pinned("go/go.mod", library) + go,
            "validated",
            sources=GO,
            command=_program("library"),
        ),
        Contender(
            "plain Go", _pinned("go/go.mod", sockets) + go, "parsed", sources=GO, command=_program("plain")
        ),
        Contender(
            "ocpp-kit",
            _pinned("rust/Cargo.toml", "ocpp-kit") + rust,
            "validated",
            sources=RUST,
            command=_program("kit"),
        ),
        Contender(
            "plain Rust",
            _pinned("rust/Cargo.toml", "fastwebsockets")
            + ", "
            + _pinned("rust/Cargo.toml", "serde_json")
            + rust,
            "parsed",
            sources=RUST,
            command=_program("plain"),
        ),
    ]
