"""What happens with sessions at ticks: facts without a name are placed, ends presumed, sessions derived and
settled. Streams are joined here and nowhere else.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import orjson

from voltgate.config_csms import Csms
from voltgate.csms.ledger import settling, sources, times
from voltgate.csms.ledger.decided import body_of
from voltgate.csms.ledger.decisions import Kind
from voltgate.csms.ledger.flags import Flag
from voltgate.csms.ledger.samples import Point
from voltgate.csms.ledger.session import Derived, State, Surroundings, derived
from voltgate.csms.ledger.store import Row, Tx
from voltgate.csms.ledger.told import OCPP16, Mark, Source, Told, told

if TYPE_CHECKING:
    from voltgate.csms.ledger.sessions import Sessions

_LAST_READINGS = timedelta(seconds=5)
_LIVE_END = timedelta(seconds=60)  # an end that came later than this was queued in the charger
_BEFORE = timedelta(hours=1)


# -- facts without a name -----------------------------------------------------------------------------------


def place_parked(tx: Tx, sessions: "Sessions", at: datetime, wait: timedelta, keep: timedelta) -> None:
    """Place by connector and time what has no name, or waited long enough for one."""
    rows = tx.all(
        "SELECT stream, seq, charger, alias, at, source FROM parked WHERE alias = '' OR at <= ? "
        "ORDER BY stream, seq",
        times.text(at - wait),
    )
    for stream, seq, charger, alias, parked_at, body in rows:
        source = sources.of_entry(orjson.loads(body))
        one = told(source)
        waited = parked_at <= times.text(at - wait)
        done = one is None
        if one is not None and one.mark is Mark.VALUES:
            done = _place_values(tx, sessions, charger, alias, (source, one))
            done = done or (waited and not alias) or parked_at <= times.text(at - keep)
        elif one is not None and one.mark is Mark.END and waited:
            _place_end(tx, sessions, charger, alias, (source, one))
            done = True
        elif parked_at <= times.text(at - keep):
            done = True
        if done:
            tx.run("DELETE FROM parked WHERE stream = ? AND seq = ?", stream, seq)


def _place_values(tx: Tx, sessions: "Sessions", charger: str, alias: str, fact: tuple[Source, Told]) -> bool:
    source, one = fact
    at = max((point.at for point in one.points if point.at is not None), default=one.received)
    if not one.evse:
        return False
    rows = tx.all(
        "SELECT s.id FROM session s WHERE s.charger = ? AND s.evse = ? AND s.started <= ? "
        f"AND (s.ended IS NULL OR s.ended >= ?) {_NAMELESS if alias else ''} ORDER BY s.started DESC",  # noqa: S608
        charger, one.evse, times.text(at), times.text(at - _LAST_READINGS),
    )  # fmt: skip
    if not rows:
        return False
    _adopt(tx, sessions, charger, alias, rows[0][0], fact)
    return True


# A session that has a name of its own cannot have another one.
_NAMELESS = "AND NOT EXISTS (SELECT 1 FROM alias a WHERE a.session = s.id AND a.alias LIKE 'id:%')"


def _place_end(tx: Tx, sessions: "Sessions", charger: str, alias: str, fact: tuple[Source, Told]) -> None:
    """A stop with an unknown id: of the one open session that it fits, or of a session that nobody saw."""
    source, one = fact
    at = one.at or one.received
    rows = tx.all(
        "SELECT s.id, s.mwh FROM session s WHERE s.charger = ? AND s.version = ? AND s.started <= ? "
        f"AND s.state IN ('open', 'presumed') {_NAMELESS if alias else ''}",  # noqa: S608
        charger, OCPP16, times.text(at),
    )  # fmt: skip
    fitting = [id_ for id_, mwh in rows if _fits(tx, id_, mwh, one)]
    if len(fitting) == 1:
        _adopt(tx, sessions, charger, alias, fitting[0], fact)
        return
    session = sessions.open(tx, charger, source.key, source, one)
    if alias:
        tx.run(
            "INSERT INTO alias (charger, alias, session) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
            charger, alias, session.id,
        )  # fmt: skip


def _fits(tx: Tx, session: str, mwh: int, one: Told) -> bool:
    """Whether a meterStop continues the register of a session."""
    begins = [other.meter for source in sources.kept(tx, session) if (other := told(source))]
    begin = next((meter for meter in begins if meter is not None), None)
    return one.meter is None or begin is None or one.meter >= begin + mwh


def _adopt(  # noqa: PLR0913, PLR0917 - where a fact comes from and goes to
    tx: Tx, sessions: "Sessions", charger: str, alias: str, session: str, fact: tuple[Source, Told]
) -> None:
    from voltgate.csms.ledger.sessions import known  # noqa: PLC0415 - the two modules are one part

    if alias:
        tx.run(
            "INSERT INTO alias (charger, alias, session) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
            charger, alias, session,
        )  # fmt: skip
    sessions.join(tx, charger, known(tx, session), *fact)


# -- ends that nobody reported --------------------------------------------------------------------------------


def presume(tx: Tx, at: datetime, config: Csms) -> None:
    """Find open sessions that must be over; ``presumed``: until when they lasted at most."""
    now = times.text(at)
    available = times.text(at - timedelta(seconds=config.presume_available))
    silent = times.text(at - timedelta(seconds=config.presume_silent))
    unsure = "s.state IN ('open', 'presumed') AND s.presumed IS NULL"
    found: dict[str, str] = {}
    for sql, *args in (
        (  # the next one has started on the connector
            "SELECT s.id, MIN(n.started) FROM session s JOIN session n ON n.charger = s.charger "
            "AND n.evse = s.evse AND n.started > s.started AND n.first_heard <= ? "
            f"WHERE {unsure} AND s.evse > 0 AND n.flags NOT LIKE '%start_refused%' GROUP BY s.id",
            now,
        ),
        (  # the connector has been available for a while
            "SELECT s.id, c.since FROM session s JOIN connector c ON c.charger = s.charger "
            "AND c.evse = s.evse AND c.connector = s.connector JOIN charger h ON h.id = s.charger "
            f"WHERE {unsure} AND c.status = 'Available' AND c.since <= ? AND h.link = 'up' "
            "AND h.link_at <= ? AND s.heard <= c.since",
            available, available,
        ),
        (  # the charger says so
            "SELECT s.id, k.at FROM asked k JOIN alias a ON a.charger = k.charger AND a.alias = 'id:' || k.tx "
            f"JOIN session s ON s.id = a.session WHERE k.over = 1 AND {unsure} AND s.heard <= k.at",
        ),
        (f"SELECT s.id, s.heard FROM session s WHERE {unsure} AND s.heard <= ?", silent),
        (  # refused, and nothing was delivered
            f"SELECT s.id, s.heard FROM session s WHERE {unsure} AND s.heard <= ? AND s.mwh = 0 "
            "AND s.flags LIKE '%start_refused%'",
            available,
        ),
    ):  # fmt: skip
        for id_, until in tx.all(sql, *args):
            found.setdefault(id_, until)
    for id_, until in sorted(found.items()):
        tx.run("UPDATE session SET presumed = ?, due = 1 WHERE id = ?", until, id_)


# -- derivation ---------------------------------------------------------------------------------------------


def derive(tx: Tx, id_: str, at: datetime, config: Csms) -> None:
    """Derive a session from its facts and write it; a settled one gets a new revision where it changed."""
    session = settling.read(tx, id_)
    facts = sources.kept(tx, id_)
    if session.state is State.SETTLED:
        facts = settling.documented(tx, id_) + facts
    result = _result(tx, session, facts, at, config)
    if session.state is State.SETTLED:
        settling.revise(tx, session, result, facts, at, config)
        tx.run("UPDATE session SET due = 0 WHERE id = ?", id_)
        return
    if result.ended is None:
        state = State.OPEN
    elif session.state is State.REVIEW and result.missing:
        state = State.REVIEW
    elif Flag.END_PRESUMED in result.flags:
        state = State.PRESUMED
    else:
        state = State.ENDED
    settle_at = None
    if state in (State.ENDED, State.PRESUMED):
        settle_at = max(times.parsed(session.heard), at) + timedelta(seconds=config.settle_after)
        if session.settle_at is not None:
            settle_at = min(settle_at, times.parsed(session.settle_at))
    settling.write(tx, session, result, state, settle_at, at, config)


def _result(
    tx: Tx, session: settling.Session, facts: Sequence[Source], at: datetime, config: Csms
) -> Derived:
    connections = sorted({source.connection for source in facts})
    marks = ", ".join("?" * len(connections))
    offsets = tx.all(
        f"SELECT offset_ms FROM clock WHERE charger = ? AND connection IN ({marks}) ORDER BY at, seq",  # noqa: S608
        session.charger, *connections,
    )  # fmt: skip
    statuses = tx.all(
        "SELECT at, status FROM status WHERE charger = ? AND evse = ? AND at >= ? AND at <= ? ORDER BY at, seq",
        session.charger, session.evse, times.text(times.parsed(session.first_heard) - _BEFORE),
        times.text(at),
    )  # fmt: skip
    statements = [one for source in facts if (one := told(source)) is not None]
    ends = [one for one in statements if one.mark is Mark.END]
    if any(one.received - (one.at or one.received) > _LIVE_END for one in ends):
        # It ended while nobody heard of it: a status of today says nothing about the cable of that time.
        statuses = [row for row in statuses if row[0] <= times.text(ends[0].at or ends[0].received)]
    correction = body_of(tx, Kind.CORRECTION, session.id, at)
    corrected = settling.corrected_mwh(correction)
    return derived(
        statements,
        Surroundings(
            now=at,
            max_power_w=_max_power(tx, session, at, config),
            idle_power_w=config.idle_power_w,
            presumed=times.parsed(session.presumed) if session.presumed else None,
            statuses=[(times.parsed(when), status) for when, status in statuses],
            offsets=[timedelta(milliseconds=ms) for (ms,) in offsets],
            corrected_mwh=corrected,
        ),
    )


def _max_power(tx: Tx, session: settling.Session, at: datetime, config: Csms) -> int:
    """What the connector can deliver, as somebody described it."""
    described = body_of(tx, Kind.CHARGER, session.charger, at) or {}
    connectors = described.get("connectors")
    for one in connectors if isinstance(connectors, list) else ():
        if isinstance(one, dict) and one.get("evse") == session.evse and (
            one.get("connector", 1) == session.connector
        ):  # fmt: skip
            power = one.get("max_power_w")
            if isinstance(power, int | float) and power > 0:
                return int(power)
    return config.max_power_w


def settle(tx: Tx, at: datetime, config: Csms) -> None:
    """Settle what has waited long enough for late messages, or leave it to a person."""
    rows: list[Row] = tx.all(
        "SELECT id FROM session WHERE settle_at <= ? ORDER BY settle_at, id", times.text(at)
    )
    for (id_,) in rows:
        session = settling.read(tx, id_)
        facts = sources.kept(tx, id_)
        result = _result(tx, session, facts, at, config)
        if result.missing and not settling.is_waived(tx, id_, at):
            settling.write(tx, session, result, State.REVIEW, None, at, config)
        else:
            settling.issue(tx, session, result, facts, at, config)


def add_samples(tx: Tx, session: str, points: Iterable[Point], received: datetime) -> None:
    """Rows of ``sample``: what is drawn as a curve."""
    for point in points:
        wh = None if point.register is None else point.register // 1000
        a1, a2, a3 = point.currents
        tx.run(
            "INSERT INTO sample (session, at, wh, w, soc, a1, a2, a3) VALUES (?, ?, ?, ?, ?, ?, ?, ?) "
            "ON CONFLICT (session, at) DO UPDATE SET wh = COALESCE(excluded.wh, sample.wh), "
            "w = COALESCE(excluded.w, sample.w), soc = COALESCE(excluded.soc, sample.soc), "
            "a1 = COALESCE(excluded.a1, sample.a1), a2 = COALESCE(excluded.a2, sample.a2), "
            "a3 = COALESCE(excluded.a3, sample.a3)",
            session, times.text(point.at or received), wh, point.power, point.soc, a1, a2, a3,
        )  # fmt: skip
