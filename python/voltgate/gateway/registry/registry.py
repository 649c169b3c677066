"""The registry: charger records of the KV bucket ``ocpp_chargers``, read on demand (CONTRACT 3.8).

What was read is kept as long as the bucket is followed without a gap, so a change takes effect at once: it
takes the place of what was kept, and ``changed`` is told. Who is let in stands in ``listener``.
"""

from collections.abc import Callable

import structlog

from voltgate import _core
from voltgate.gateway.bus.bus import Bus
from voltgate.gateway.bus.follow import Follow
from voltgate.gateway.interfaces import Clock, NotRead, Stored
from voltgate.gateway.registry.record import Found, Known, parse

log = structlog.get_logger()

KEPT = 50_000  # records in memory, some hundred bytes each; the one not asked for longest goes


class Registry:
    """``changed(identity, known)`` is called for each record that was written or removed (None)."""

    def __init__(
        self, bus: Bus, clock: Clock, stream_prefix: str, changed: Callable[[str, Known | None], None]
    ) -> None:
        bucket = f"{stream_prefix.lower()}_chargers"
        self._bus, self._stream, self._prefix = bus, f"KV_{bucket}", f"$KV.{bucket}."
        self._follow = Follow(bus, clock, self._stream, self._changed)
        self._tell = changed
        # By token; removed ones too: a replica that is behind would bring them back.
        self._kept: dict[str, tuple[int, Known | None]] = {}
        self._follow.on_anew = self._kept.clear

    async def run(self) -> None:
        """Follow the bucket for the life of the process."""
        await self._follow.run()

    def find(self, identity: str, found: Found) -> None:
        """Call ``found`` with the charger's record, at once where it is kept."""
        token = _core.token(identity)
        if not self._follow.keeps_up:
            self._kept.clear()
        elif (kept := self._kept.pop(token, None)) is not None:
            self._kept[token] = kept  # the last one asked for
            found(kept[1] or NotRead.MISSING)
            return
        asked = token, found, self._follow.opened
        self._bus.read(self._stream, 0, self._prefix + token, self._read, asked)

    def _read(self, asked: tuple[str, Found, int], stored: Stored | NotRead) -> None:
        token, found, opened = asked
        if not isinstance(stored, Stored):
            found(stored)
            return
        newer = self._kept.get(token)
        if newer is not None and newer[0] >= stored.seq:
            found(newer[1] or NotRead.MISSING)  # it changed while it was read, or by a replica that is behind
            return
        known = _known(token, stored)
        if self._follow.keeps_up and self._follow.opened == opened:
            self._keep(token, stored.seq, known)
        found(known or NotRead.MISSING)

    def _changed(self, subject: str, stored: Stored) -> None:
        token = subject.removeprefix(self._prefix)
        known = _known(token, stored)
        self._kept.pop(token, None)
        self._keep(token, stored.seq, known)
        try:
            identity = _core.identity(token)
        except ValueError:
            return
        self._tell(identity, known)

    def _keep(self, token: str, seq: int, known: Known | None) -> None:
        self._kept[token] = seq, known
        if len(self._kept) > KEPT:
            del self._kept[next(iter(self._kept))]


def _known(token: str, stored: Stored) -> Known | None:
    if "KV-Operation" in stored.headers:  # deleted, or purged
        return None
    try:
        return Known(_core.identity(token), token, parse(stored.data))
    except ValueError as fault:
        # Nobody comes in by a record that says nothing clear.
        log.warning("registry.bad_record", token=token, fault=str(fault))
        return None
