"""Output to a pipe whose reader is slow; what commands print: tests/cli/test_cli.py."""

import subprocess
import sys

WRITER = """
import signal, sys
from voltgate.cli.terminal import out_json
signal.signal(signal.SIGALRM, lambda *_: print("signal", file=sys.stderr, flush=True))
signal.setitimer(signal.ITIMER_REAL, 0.05, 0.05)
out_json("x" * 300_000)
"""


def test_a_signal_does_not_cut_output_off() -> None:
    """Unbuffered, as in many containers: the kernel ends the write that waits for the reader."""
    command = [sys.executable, "-u", "-c", WRITER]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        for _ in range(3):  # the pipe is full by then
            assert process.stderr.readline() == "signal\n"
        assert len(process.stdout.read()) == 300_003
