"""The registry: charger records of the KV bucket ``ocpp_chargers``, read on demand (docs/contract.md 3.8).

Records that were read are cached while the bucket is followed without a gap, so a change takes effect at
once: it replaces the cached record, and ``changed`` is called. Not here: which charger may connect
(listener).
"""

from collections.abc import Callable

import structlog

from voltgate import _core
from voltgate.gateway.bus.bus import Bus
from voltgate.gateway.bus.follow import Follow
from voltgate.gateway.interfaces import Clock, NotRead, Stored
from voltgate.gateway.registry.hashes import is_hash
from voltgate.gateway.registry.record import Found, Known, parse

log = structlog.get_logger()

CACHED = 50_000  # records in memory, some hundred bytes each; the least recently used one is dropped


class Registry:
    """``changed(identity, known)`` is called for each record that was written or removed (None)."""

    def __init__(
        self, bus: Bus, clock: Clock, stream_prefix: str, changed: Callable[[str, Known | None], None]
    ) -> None:
        bucket = f"{stream_prefix.lower()}_chargers"
        self._bus, self._stream, self._prefix = bus, f"KV_{bucket}", f"$KV.{bucket}."
        self._follow = Follow(bus, clock, self._stream)
        self._on_change = changed
        # By token; removed ones too: a replica that is behind would bring them back.
        self._cache: dict[str, tuple[int, Known | None]] = {}
        self._follow.listen(self._changed, self._cache.clear)
        self._warned: set[str] = set()  # tokens whose record has a password hash of an unknown kind

    async def run(self) -> None:
        """Follow the bucket for the life of the process."""
        await self._follow.run()

    def find(self, identity: str, found: Found) -> None:
        """Call ``found`` with the charger's record, at once where it is cached."""
        token = _core.token(identity)
        if not self._follow.keeps_up:
            self._cache.clear()
        elif (cached := self._cache.pop(token, None)) is not None:
            self._cache[token] = cached  # the most recently used
            found(cached[1] or NotRead.MISSING)
            return
        asked = token, found, self._follow.opened
        self._bus.read(self._stream, 0, self._prefix + token, self._read, asked)

    def _read(self, asked: tuple[str, Found, int], stored: Stored | NotRead) -> None:
        token, found, opened = asked
        if not isinstance(stored, Stored):
            found(stored)
            return
        newer = self._cache.get(token)
        if newer is not None and newer[0] >= stored.seq:
            found(newer[1] or NotRead.MISSING)  # it changed meanwhile, or the replica is behind
            return
        known = self._known(token, stored)
        if self._follow.keeps_up and self._follow.opened == opened:
            self._keep(token, stored.seq, known)
        found(known or NotRead.MISSING)

    def _changed(self, subject: str, stored: Stored) -> None:
        token = subject.removeprefix(self._prefix)
        known = self._known(token, stored)
        self._cache.pop(token, None)
        self._keep(token, stored.seq, known)
        try:
            identity = _core.identity(token)
        except ValueError:
            return
        self._on_change(identity, known)

    def _keep(self, token: str, seq: int, known: Known | None) -> None:
        self._cache[token] = seq, known
        if len(self._cache) > CACHED:
            del self._cache[next(iter(self._cache))]

    def _known(self, token: str, stored: Stored) -> Known | None:
        if "KV-Operation" in stored.headers:  # deleted, or purged
            return None
        try:
            known = Known(_core.identity(token), token, parse(stored.data))
        except ValueError as error:
            self._bus.garbage("record", f"{token}: {error}")
            return None
        if all(map(is_hash, known.record.password_hashes)):
            self._warned.discard(token)
        elif token not in self._warned:
            self._warned.add(token)
            log.warning(
                "registry.hash_refused",
                identity=known.identity,
                error="a password hash is of a kind that this release cannot check: no password passes it",
            )
        return known
