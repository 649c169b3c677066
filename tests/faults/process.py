"""A process that can be killed, frozen, stopped and started again. It ends with the test process."""

import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

import psutil

# As in jetstream: the shell is the parent, and its end of the pipe closes however the test's process ends.
# Until the shell has waited, the pid is not reused; the shell passes the exit code on.
_KEEPER = '"$@" >>"$0" 2>&1 & echo $!; read -r _; kill -KILL $! 2>/dev/null; wait $!'


class Process:
    """``log`` collects the output of all its runs."""

    def __init__(self, name: str, log: Path, command: Sequence[str]) -> None:
        self.name, self.log, self._command = name, log, command
        self._keeper: subprocess.Popen[str] | None = None
        self.process: psutil.Process

    def start(self) -> None:
        assert self._keeper is None, f"{self.name} runs already"
        pipe = subprocess.PIPE
        self._keeper = subprocess.Popen(
            ["sh", "-c", _KEEPER, str(self.log), *self._command],
            stdin=pipe,
            stdout=pipe,
            stderr=subprocess.DEVNULL,  # it would print every kill
            text=True,
            start_new_session=True,  # an interrupt from the keyboard must not take the keeper alone
        )
        assert self._keeper.stdout is not None
        self.process = psutil.Process(int(self._keeper.stdout.readline()))

    def kill(self) -> int:
        """SIGKILL, where it has not ended; its exit code."""
        keeper, self._keeper = self._keeper, None
        if keeper is None:
            return 0
        keeper.communicate()
        return keeper.returncode

    def terminate(self) -> None:
        """SIGTERM: it may take its time."""
        self.process.send_signal(signal.SIGTERM)

    def freeze(self) -> None:
        """SIGSTOP."""
        self.process.suspend()

    def thaw(self) -> None:
        """SIGCONT."""
        if self._keeper is not None:
            self.process.resume()

    @property
    def runs(self) -> bool:
        """Whether it was started and has not ended."""
        return self._keeper is not None and self.process.status() != psutil.STATUS_ZOMBIE

    @property
    def died(self) -> bool:
        """Whether it ended by itself."""
        return self._keeper is not None and not self.runs


def tail(name: str, log: Path, lines: int = 12) -> str:
    """Its last words."""
    words = log.read_text(errors="replace").splitlines()[-lines:] if log.exists() else []
    return "\n".join([f"--- {name}", *words])
