"""The state of a service for systemd, or whoever else listens at ``NOTIFY_SOCKET`` (sd_notify(3)).

Without that variable nothing is sent. A few datagrams do not deserve a dependency.
"""

import asyncio
import os
import socket
import time
from contextlib import suppress

_AFTER_DRAIN = 10.0  # seconds beyond drain.grace and drain.deadline until the process must have exited


class Notify:
    """Reports of one process. Its children get no address to report to."""

    def __init__(self) -> None:
        path = os.environ.pop("NOTIFY_SOCKET", "")
        self._address = "\0" + path[1:] if path.startswith("@") else path
        pid, interval = os.environ.pop("WATCHDOG_PID", ""), os.environ.pop("WATCHDOG_USEC", "")
        ours = not pid or pid == str(os.getpid())
        self._watchdog = int(interval) / 1e6 if ours and interval.isdecimal() else 0.0
        self._stopping = False

    def ready(self) -> None:
        """Chargers can connect; or a reload has ended."""
        if not self._stopping:
            self._send("READY=1")

    def reloading(self) -> None:
        """A reload has begun; :meth:`ready` follows."""
        now = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        self._send("RELOADING=1", f"MONOTONIC_USEC={now}")

    def stopping(self, within: float) -> None:
        """The process drains, and exits ``within`` so many seconds."""
        self._stopping = True
        self._send("STOPPING=1", f"EXTEND_TIMEOUT_USEC={int((within + _AFTER_DRAIN) * 1e6)}")

    async def run(self, opened: asyncio.Event) -> None:
        """Report that the process is ready once it is, and that its event loop runs; until cancelled."""
        watching = asyncio.create_task(self._watch())
        try:
            await opened.wait()
            self.ready()
            await watching
        finally:
            watching.cancel()

    async def _watch(self) -> None:
        while self._watchdog:
            self._send("WATCHDOG=1")
            await asyncio.sleep(self._watchdog / 2)

    def _send(self, *lines: str) -> None:
        if not self._address:
            return
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            # A service manager that does not read must not stop the event loop.
            sock.setblocking(False)
            sock.sendto("\n".join(lines).encode(), self._address)
