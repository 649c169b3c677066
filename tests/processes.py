"""A running ``voltgate`` process, and what tests ask of its ports."""

import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from time import monotonic

VOLTGATE = (sys.executable, "-m", "voltgate")
PATIENCE = 60.0  # seconds until a condition that should hold counts as failed

Start = Callable[..., "Voltgate"]


class Voltgate:
    """A running ``voltgate`` and its output."""

    def __init__(self, folder: Path, *arguments: str, shell: str = "", **environment: str) -> None:
        self._out, self._err = folder / "out", folder / "err"
        command = [*VOLTGATE, *arguments]
        with self._out.open("wb") as out, self._err.open("wb") as err:
            self.process = subprocess.Popen(
                ["sh", "-c", f'exec "$@" {shell}', "sh", *command],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                env=os.environ | environment,
            )

    @property
    def out(self) -> str:
        return self._out.read_text()

    @property
    def err(self) -> str:
        return self._err.read_text()

    def until(self, condition: Callable[[], object], what: str) -> None:
        """Wait until it holds; fail with the output if the process ends before."""
        deadline = monotonic() + PATIENCE
        while not condition():
            assert monotonic() < deadline, f"not in time: {what}\n{self.out}\n{self.err}"
            with suppress(subprocess.TimeoutExpired):
                code = self.process.wait(0.02)
                raise AssertionError(f"ended with {code} before: {what}\n{self.out}\n{self.err}")

    def ends(self, number: signal.Signals) -> int:
        self.process.send_signal(number)
        return self.process.wait(PATIENCE)


def run_voltgate(*arguments: str) -> None:
    """Run one command to its end; AssertionError with its words if it fails."""
    done = subprocess.run([*VOLTGATE, *arguments], check=False, capture_output=True, text=True)
    assert done.returncode == 0, f"{arguments}: {done.stderr}"


def status(port: int, path: str) -> tuple[int, str]:
    """0 without an answer."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as refusal:
        with refusal:
            return refusal.code, refusal.read().decode()
    except OSError:
        return 0, ""


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return True
    return False
