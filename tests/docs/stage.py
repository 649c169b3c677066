"""What a reader of the documentation has: a folder, ``voltgate dev``, the nats CLI, and the charger CP001.

Ports and loads are scaled to a test; everything else runs as it is printed.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic

from docs.pages import Block, commands
from docs.reader import Reader
from jetstream import free_port
from processes import status

PATIENCE = 30.0  # seconds for one command
HERE = Path(__file__).parent
# What a command prints of a charger that charges: a subject or the identity, or the fragment's own word.
SEEN = re.compile(r"ocpp\.|CP001|answered|backend")

# Commands that run until a signal, and until what they have printed.
LASTING = re.compile(r"voltgate (tail|backend|chargers online --watch)|nats (sub|reply)")
SCALED = (
    (r"--workers \d+", "--workers 2"),
    (r"--chargers \d+", "--chargers 5"),
    (r"--rate \d+", "--rate 20"),
    (r"--duration \d+", "--duration 1"),
)

_DEV = """#!/bin/sh
command=$1; shift
[ "$command" = dev ] && set -- --port {port} --admin-port {admin} --nats-port {nats} --csms-port {csms} \\
  --data-dir dev "$@"
[ "$command" = swarm ] && {{
  scenario=; case $1 in -*) ;; *) scenario=$1; shift ;; esac
  set -- $scenario --url ws://127.0.0.1:{port}/ocpp "$@" --duration 1
}}
exec {python} -m voltgate "$command" "$@"
"""


@dataclass
class Running:
    """A process with its output in a file."""

    name: str
    process: subprocess.Popen[bytes]
    file: Path

    @property
    def output(self) -> str:
        return self.file.read_text(errors="replace")

    def until(self, holds: Callable[[], bool], what: str) -> None:
        """Wait until it holds; the process must not end before."""
        deadline = monotonic() + PATIENCE
        while not holds():
            assert self.process.poll() is None, f"{self.name} ended before: {what}\n{self.output}"
            assert monotonic() < deadline, f"{self.name}: not in time: {what}\n{self.output}"
            wait_a_moment(self.process)

    def end(self) -> int:
        """Interrupt it as Ctrl-C does."""
        os.killpg(self.process.pid, signal.SIGINT)
        return self.process.wait(PATIENCE)


def wait_a_moment(process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(0.02)
    except subprocess.TimeoutExpired:
        return


@dataclass
class Stage:
    """See the module."""

    folder: Path
    reader: Reader = field(init=False)
    dev: Running | None = None
    _started: list[Running] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.port, self.admin, self.nats = free_port(), free_port(), free_port()
        self.serve_port, self.serve_admin, self.tls_port = free_port(), free_port(), free_port()
        programs = self.folder / "bin"
        programs.mkdir()
        text = _DEV.format(
            port=self.port, admin=self.admin, nats=self.nats, csms=free_port(), python=sys.executable
        )
        self._program(programs / "voltgate", text)
        if shutil.which("nats") is None:
            self._program(
                programs / "nats",
                f'#!/bin/sh\nexec {sys.executable} {HERE}/nats_cli.py "$@"\n',
            )
        self.url = f"nats://127.0.0.1:{self.nats}"
        self.environment = os.environ | {
            "PATH": f"{programs}:{os.environ['PATH']}",
            "NATS_URL": self.url,
            "VOLTGATE_NATS__URL": self.url,
            "VOLTGATE_ADMIN__PORT": str(self.serve_admin),
            "VOLTGATE_LIMITS__MAX_CONNECTIONS": "100",
            "VOLTGATE_DRAIN__GRACE": "0",
        }
        (self.folder / "fleet.csv").write_text("identity\nCP002\nCP003\n")
        (self.folder / "voltgate.toml").write_text(
            f"[nats]\nurl = '{self.url}'\n[[listeners]]\nhost = '127.0.0.1'\nport = {self.serve_port}\n"
            f"[admin]\nport = {self.serve_admin}\n[limits]\nmax_connections = 100\n[drain]\ngrace = 0.0\n"
        )
        self.reader = Reader(f"ws://127.0.0.1:{self.port}/ocpp/CP001")

    @staticmethod
    def _program(file: Path, text: str) -> None:
        file.write_text(text)
        file.chmod(0o755)

    # -- blocks -------------------------------------------------------------------------------------

    def run(self, block: Block) -> None:
        """Run a block; an AssertionError names the line of the page."""
        if self.dev is None and not block.text.startswith("voltgate dev"):
            self._develop("voltgate dev")
        if block.language == "python":
            self._python(block)
            return
        lasting: list[Running] = []
        for number, command in commands(block):
            place = f"{block.page}:{number}"
            text = self._adapted(command)
            if re.match(r"\s*voltgate dev\b", text):
                self._develop(text)
            elif re.match(r"\s*voltgate serve\b", text):
                self._serve(place, text)
            elif LASTING.match(text.lstrip()):
                lasting.append(self._start(place, text))
            else:
                self._complete(place, text)
        self._watch(lasting)

    def _adapted(self, command: str) -> str:
        ports = {"9000": self.port, "9464": self.admin, "4222": self.nats, "9443": self.tls_port}
        text = re.sub(r"\b(9000|9464|4222|9443)\b", lambda found: str(ports[found[1]]), command)
        for pattern, scaled in SCALED:
            text = re.sub(pattern, scaled, text)
        return text

    def _start(self, name: str, command: str) -> Running:
        file = self.folder / f"output{len(self._started)}"
        with file.open("wb") as output:
            process = subprocess.Popen(
                ["bash", "-c", command],
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        self._started.append(Running(name, process, file))
        return self._started[-1]

    def _complete(self, place: str, command: str) -> None:
        """A command that ends by itself, successfully."""
        if "CP001" in command:
            self.reader.connected()
        running = self._start(place, command)
        code = running.process.wait(PATIENCE)
        assert code == 0, f"{place}: {command.strip()}: exit code {code}\n{running.output}"

    def _develop(self, command: str) -> None:
        """``voltgate dev`` takes the place of the one before it."""
        self._leave()
        self.dev = self._start("voltgate dev", command)
        self._ready(self.dev, self.admin)
        self.reader.start()

    def _serve(self, place: str, command: str) -> None:
        running = self._start(place, command)
        self._ready(running, self.serve_admin)
        assert running.end() == 0, running.output

    def _ready(self, running: Running, admin: int) -> None:
        running.until(lambda: status(admin, "/readyz")[0] == 200, "ready")

    def _python(self, block: Block) -> None:
        file = self.folder / "block.py"
        file.write_text(self._adapted(block.text))
        if "await" not in block.text:
            self._complete(str(block), f"{sys.executable} block.py")
            return
        if "asyncio.run(" in block.text:
            running = self._start(str(block), f"exec {sys.executable} -u block.py")
        else:
            running = self._start(str(block), f"exec {sys.executable} {HERE}/fragment.py block.py")
        self._watch([running])

    def _watch(self, lasting: list[Running]) -> None:
        """Each prints something while the charger CP001 charges, and ends when it is interrupted."""

        def printed() -> bool:
            # They do not say when they are subscribed: the charger charges until all have seen it.
            self.reader.charge()
            return all(SEEN.search(one.output) for one in lasting)

        for one in lasting:
            one.until(printed, "it prints what the charger does")
        for one in lasting:
            one.end()

    def _leave(self) -> None:
        if self.dev is not None:
            self.reader.stop()
            self.dev.end()
            self.dev = None

    def close(self) -> None:
        """End everything, also what a failed test has left."""
        self.reader.stop()
        for one in self._started:
            if one.process.poll() is None:
                os.killpg(one.process.pid, signal.SIGKILL)
                one.process.wait()
