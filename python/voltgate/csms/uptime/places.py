"""Where a charger stands: its site, and the time zone in which the site's days are counted."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import orjson

from voltgate.csms.ledger.store import Tx


@dataclass(frozen=True, slots=True)
class Place:
    """``site``: empty where the charger is assigned to none."""

    site: str
    zone: ZoneInfo


class Places:
    """Of one transaction: as the decisions are now."""

    def __init__(self, tx: Tx, zone: ZoneInfo) -> None:
        self._tx, self._zone = tx, zone

    @cached_property
    def _zones(self) -> dict[str, ZoneInfo]:
        rows = self._tx.all("SELECT id, body FROM decision WHERE kind = 'site' ORDER BY seq")
        return {site: _zone(orjson.loads(body).get("timezone"), self._zone) for site, body in rows}

    @cached_property
    def _places(self) -> dict[str, Place]:
        rows = self._tx.all("SELECT id, site FROM charger")
        return {charger: Place(site, self._zones.get(site, self._zone)) for charger, site in rows}

    def of(self, charger: str) -> Place:
        """The place of one charger."""
        return self._places.get(charger) or Place("", self._zone)

    def zone_of(self, scope: str) -> ZoneInfo:
        """The zone of ``site:ID`` or ``charger:ID``; that of the installation for ``default``."""
        kind, _, id_ = scope.partition(":")
        return self._zones.get(id_, self._zone) if kind == "site" else self.of(id_).zone

    def zones(self) -> Iterator[ZoneInfo]:
        """Every zone in use."""
        yield from {self._zone, *self._zones.values()}


def _zone(name: object, default: ZoneInfo) -> ZoneInfo:
    if not isinstance(name, str):
        return default
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        return default
