"""Bounds of the log: no charger, address or library fills it (docs/reference.md, "Log lines").

A source may write ``LINES`` lines in a window. The next one is replaced by ``suppression.began``, the others
are dropped and counted, and ``suppression.ended`` has their number: it precedes the first line after the
window. Lines about the gateway itself have no source and no bound, except for tracebacks: whoever can cause
one can cause many.
"""

import time
from collections.abc import Callable, MutableMapping
from typing import Any

import structlog

WINDOW = 60.0  # seconds
LINES = 20  # of one source in a window
SOURCES = 500  # with lines of their own in a window; all others share those of one

Event = MutableMapping[str, Any]


def source(event: Event) -> tuple[str, str] | None:
    """What a line is about: a key and its value; None for a line about the gateway."""
    if identity := event.get("identity"):
        return "identity", str(identity)
    if peer := event.get("peer"):
        return "peer", str(peer).rpartition(":")[0]  # every connection has another port
    if library := event.get("logger"):
        return "logger", str(library)
    if event.get("exc_info"):
        return "about", str(event.get("event"))
    if subject := event.get("subject"):
        return "subject", str(subject).rpartition(".")[2]  # the charger's token
    return None


class LineRates:
    """A processor of structlog; see the module."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._lines: dict[tuple[str, str], int] = {}  # in this window
        self._began, self._dropped = now(), 0

    def __call__(self, logger: Any, method: str, event: Event) -> Event:
        """Pass the line on, replace it, or drop it."""
        del logger, method
        if self._now() - self._began >= WINDOW:
            self.end()
        about = source(event)
        if about is None:
            return event
        if about not in self._lines and len(self._lines) >= SOURCES:
            about = (about[0], "")
        count = self._lines[about] = self._lines.get(about, 0) + 1
        if count <= LINES:
            return event
        self._dropped += 1
        if count > LINES + 1:
            raise structlog.DropEvent
        key, value = about if about[1] else ("others", about[0])
        return {"event": "suppression.began", key: value, "lines": LINES}

    def end(self) -> None:
        """End the window; say how many lines were dropped in it, if any."""
        dropped, self._dropped = self._dropped, 0
        sources = sum(count > LINES for count in self._lines.values())
        self._lines, self._began = {}, self._now()
        if dropped:
            structlog.get_logger().warning("suppression.ended", lines=dropped, sources=sources)
