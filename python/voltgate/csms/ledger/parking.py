"""Facts whose session is not known: placed at ticks, by connector and time, or dropped in the end.

A fact is never given to a session that has a name of its own and another one: a stop with an unknown id must
not end somebody else's session. Readings alone make no session; a stop alone makes one that nobody is billed
for.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

import orjson

from voltgate.csms.ledger import names, sources, times
from voltgate.csms.ledger.acting import Acting
from voltgate.csms.ledger.names import Known
from voltgate.csms.ledger.store import Tx
from voltgate.csms.ledger.told import OCPP16, Mark, Source, Told, told

_LAST_READINGS = timedelta(seconds=5)
# A session that has a name of its own cannot have another one.
_NAMELESS = "AND NOT EXISTS (SELECT 1 FROM alias a WHERE a.session = s.id AND a.alias LIKE 'id:%')"


class Taker(Protocol):
    """Where facts go once their session is known."""

    def open(self, tx: Tx, charger: str, seed: str, source: Source, one: Told) -> Known:
        """A new session."""

    def join(self, tx: Tx, charger: str, session: Known, source: Source, one: Told) -> None:
        """One more fact of a session."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """One row of ``parked``. ``waited``: as long as a name takes at most, as a rule; ``expired``: a day."""

    charger: str
    alias: str
    source: Source
    told: Told
    waited: bool
    expired: bool


def place(taker: Taker, now: Acting) -> bool:
    """Place what has no name, or waited long enough for one; whether there was any."""
    wait = times.text(now.at - timedelta(seconds=now.csms.settle_after))
    keep = times.text(now.at - timedelta(seconds=now.csms.presume_silent))
    found = now.tx.all(
        "SELECT charger, alias, at, source FROM parked WHERE alias = '' OR at <= ? ORDER BY stream, seq", wait
    )
    waiting = []
    for charger, alias, at, body in found:
        source = sources.of_entry(orjson.loads(body))
        if (one := told(source)) is not None:
            waiting.append(Waiting(charger, alias, source, one, at <= wait, at <= keep))
    # Readings first: they show which session an end continues.
    for each in sorted(waiting, key=lambda each: (each.told.mark is Mark.END, each.alias != "")):
        if _placed(taker, now.tx, each):
            source = each.source
            now.tx.run("DELETE FROM parked WHERE stream = ? AND seq = ?", source.stream, source.seq)
    return bool(found)


def _placed(taker: Taker, tx: Tx, one: Waiting) -> bool:
    """Whether the fact has found its place, or never will."""
    if one.told.mark is Mark.VALUES:
        return _values(taker, tx, one) or one.expired or (one.waited and not one.alias)
    if one.told.mark is Mark.END and one.waited:
        return _end(taker, tx, one)
    return one.expired


def _values(taker: Taker, tx: Tx, one: Waiting) -> bool:
    times_ = [point.at for point in one.told.points if point.at is not None]
    at = max(times_, default=one.told.received)
    if not one.told.evse:
        return False
    row = tx.one(
        "SELECT s.id FROM session s WHERE s.charger = ? AND s.evse = ? AND s.started <= ? "
        f"AND (s.ended IS NULL OR s.ended >= ?) {_NAMELESS if one.alias else ''} ORDER BY s.started DESC",
        one.charger, one.told.evse, times.text(at), times.text(at - _LAST_READINGS),
    )  # fmt: skip
    if row is None:
        return False
    _adopt(taker, tx, one, row[0])
    return True


def _end(taker: Taker, tx: Tx, one: Waiting) -> bool:
    """A stop with an unknown id: of the one open session that it fits, or of a session that nobody saw.

    False: it has an id that leads nowhere, and the vehicle of the session that it fits is still charging, or
    another stop may be the one of this session.
    """
    at = one.told.at or one.told.received
    rows = tx.all(
        "SELECT s.id, s.mwh FROM session s WHERE s.charger = ? AND s.version = ? AND s.started <= ? "
        f"AND s.state IN ('open', 'presumed') {_NAMELESS if one.alias else ''}",
        one.charger, OCPP16, times.text(at),
    )  # fmt: skip
    fitting = [id_ for id_, mwh in rows if _fits(tx, id_, mwh, one)]
    if len(fitting) == 1:
        if one.alias and not one.expired and _goes_on(tx, one.charger, fitting[0]):
            return False
        _adopt(taker, tx, one, fitting[0])
        return True
    session = taker.open(tx, one.charger, one.source.key, one.source, one.told)
    if one.alias:
        names.give(tx, one.charger, one.alias, session.id)
    return True


def _goes_on(tx: Tx, charger: str, session: str) -> bool:
    """Whether a vehicle is still charging as far as its charger has said, or messages without an id wait."""
    charging = tx.one(
        "SELECT 1 FROM session s JOIN connector c ON c.charger = s.charger AND c.evse = s.evse "
        "WHERE s.id = ? AND s.presumed IS NULL AND c.status IN ('Charging', 'SuspendedEV', 'SuspendedEVSE')",
        session,
    )
    waiting = tx.one("SELECT 1 FROM parked WHERE charger = ? AND alias = ''", charger)
    return charging is not None or waiting is not None


def _fits(tx: Tx, session: str, mwh: int, stop: Waiting) -> bool:
    """Whether a meterStop continues the register of a session, which has no end of its own."""
    facts = [one for source in sources.kept(tx, session) if (one := told(source)) is not None]
    if stop.alias and any(one.mark is Mark.END for one in facts):
        return False
    begin, end = next((one.meter for one in facts if one.meter is not None), None), stop.told.meter
    return end is None or begin is None or end >= begin + mwh


def _adopt(taker: Taker, tx: Tx, one: Waiting, session: str) -> None:
    if one.alias:
        names.give(tx, one.charger, one.alias, session)
    taker.join(tx, one.charger, names.known(tx, session), one.source, one.told)
