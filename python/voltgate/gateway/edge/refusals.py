"""Log lines about refused handshakes: enough to find one charger, bounded for many (docs/reference.md)."""

import structlog

log = structlog.get_logger()

WINDOW = 60.0  # seconds
LINES = 5  # of one source in a window
SOURCES = 200  # with lines of their own in a window; all others share those of one


class RefusalLog:
    """At most so many lines of one source a minute; the others are counted and told at the next refusal."""

    def __init__(self) -> None:
        self._lines: dict[str, int] = {}  # by address, in this window
        self._began, self._silenced = 0.0, 0

    def note(self, now: float, peer: str, identity: str | None, reason: str) -> None:
        """A handshake of ``peer`` (``address:port``) was refused for ``reason``, a label of ``Refusal``."""
        if now - self._began >= WINDOW:
            if self._silenced:
                log.info("upgrade.refusals_suppressed", count=self._silenced)
            self._lines, self._began, self._silenced = {}, now, 0
        source = peer.rpartition(":")[0]
        if source not in self._lines and len(self._lines) >= SOURCES:
            source = ""
        count = self._lines[source] = self._lines.get(source, 0) + 1
        if count > LINES:
            self._silenced += 1
        else:
            log.info("upgrade.refused", reason=reason, identity=identity, peer=peer)
