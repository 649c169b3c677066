"""What happens with sessions at ticks: ends are presumed, sessions derived and settled.

Streams are joined here and nowhere else.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from voltgate.csms.ledger import decided, rows, samples, settling, sources, times
from voltgate.csms.ledger.acting import Acting
from voltgate.csms.ledger.decisions import Kind
from voltgate.csms.ledger.flags import Flag
from voltgate.csms.ledger.rows import Session
from voltgate.csms.ledger.session import State, Surroundings, derived
from voltgate.csms.ledger.settling import Case
from voltgate.csms.ledger.told import Mark, Source, Told, told

_LIVE_END = timedelta(seconds=60)  # an end that came later than this was queued in the charger
_BEFORE = timedelta(hours=1)


def presume(now: Acting) -> None:
    """Find open sessions that must be over; ``presumed``: until when they lasted at most."""
    tx = now.tx
    available = times.text(now.at - timedelta(seconds=now.csms.presume_available))
    late = times.text(now.at - timedelta(seconds=now.csms.settle_after))
    tx.run("UPDATE session SET due = 1 WHERE state = 'open' AND started IS NULL AND heard <= ?", late)
    silent = times.text(now.at - timedelta(seconds=now.csms.presume_silent))
    unsure = "s.state IN ('open', 'presumed') AND s.presumed IS NULL"
    found: dict[str, str] = {}
    for sql, *args in (
        (  # the next one has started on the connector
            "SELECT s.id, MIN(n.started) FROM session s JOIN session n ON n.charger = s.charger "
            "AND n.evse = s.evse AND n.started > s.started AND n.first_heard <= ? "
            f"WHERE {unsure} AND s.evse > 0 AND n.flags NOT LIKE '%start_refused%' GROUP BY s.id",
            times.text(now.at),
        ),
        (  # the connector has been available for a while
            "SELECT s.id, c.since FROM session s JOIN connector c ON c.charger = s.charger "
            "AND c.evse = s.evse AND c.connector = s.connector JOIN charger h ON h.id = s.charger "
            f"WHERE {unsure} AND c.status = 'Available' AND c.since <= ? AND h.link = 'up' "
            "AND h.link_at <= ? AND s.heard <= c.since",
            available, available,
        ),
        (  # the charger says so
            "SELECT s.id, k.at FROM asked k CROSS JOIN alias a CROSS JOIN session s WHERE k.over = 1 "
            f"AND a.charger = k.charger AND a.alias = 'id:' || k.tx AND s.id = a.session "
            f"AND {unsure} AND s.heard <= k.at",
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


def derive(now: Acting, id_: str) -> None:
    """Derive a session from its facts and write it; a settled one gets a new revision where it changed."""
    session = rows.read(now.tx, id_)
    facts = sources.kept(now.tx, id_)
    if session.state is State.SETTLED:
        facts = settling.documented(now.tx, id_) + facts
    case = case_of(now, session, facts)
    result = case.result
    if session.state is State.SETTLED:
        settling.revise(now, session, case)
        return
    decided_on = case.around.corrected_mwh is not None or rows.is_waived(now, id_)
    waits = timedelta(seconds=now.csms.settle_after)
    if result.ended is None and result.started is None and times.parsed(session.heard) + waits <= now.at:
        state = State.REVIEW  # nobody reported its start, in time for messages that come late
    elif result.ended is None:
        state = State.OPEN
    elif session.state is State.REVIEW and result.missing and not decided_on:
        state = State.REVIEW
    elif Flag.END_PRESUMED in result.flags:
        state = State.PRESUMED
    else:
        state = State.ENDED
    settle_at = None
    if state in (State.ENDED, State.PRESUMED):
        settle_at = max(times.parsed(session.heard), now.at) + waits
        if session.settle_at is not None:
            settle_at = min(settle_at, times.parsed(session.settle_at))
        if session.state is State.REVIEW and decided_on:
            settle_at = now.at
    rows.write(now, replace(session, state=state), rows.priced(now, session, result), settle_at)


def case_of(now: Acting, session: Session, facts: Sequence[Source]) -> Case:
    """What follows from these facts of a session, and from what else is known."""
    tx = now.tx
    connections = sorted({source.connection for source in facts})
    marks = ", ".join("?" * len(connections))
    offsets = tx.all(
        f"SELECT offset_ms FROM clock WHERE charger = ? AND connection IN ({marks}) ORDER BY at, seq",
        session.charger, *connections,
    )  # fmt: skip
    statements = [one for source in facts if (one := told(source)) is not None]
    correction = decided.body_of(tx, Kind.CORRECTION, session.id, now.at)
    around = Surroundings(
        now=now.at,
        max_power_w=_max_power(now, session),
        idle_power_w=now.csms.idle_power_w,
        presumed=times.parsed(session.presumed) if session.presumed else None,
        statuses=_statuses(now, session, statements),
        offsets=[timedelta(milliseconds=ms) for (ms,) in offsets],
        corrected_mwh=None if correction is None else samples.mwh(correction.get("energy_wh")),
    )
    return Case(tuple(facts), around, derived(statements, around))


def _statuses(now: Acting, session: Session, statements: Sequence[Told]) -> list[tuple[datetime, str]]:
    evse = next((one.evse for one in statements if one.evse), session.evse)
    found = now.tx.all(
        "SELECT at, status FROM status WHERE charger = ? AND evse = ? AND at >= ? AND at <= ? "
        "ORDER BY at, seq",
        session.charger, evse, times.text(times.parsed(session.first_heard) - _BEFORE), times.text(now.at),
    )  # fmt: skip
    statuses = [(times.parsed(at), status) for at, status in found]
    ends = [one for one in statements if one.mark is Mark.END]
    if any(one.received - (one.at or one.received) > _LIVE_END for one in ends):
        # It ended while nobody heard of it: a status of today says nothing about the cable of that time.
        return [one for one in statuses if one[0] <= (ends[0].at or ends[0].received)]
    return statuses


def _max_power(now: Acting, session: Session) -> int:
    """What the connector can deliver, as somebody described it."""
    described = decided.body_of(now.tx, Kind.CHARGER, session.charger, now.at) or {}
    connectors = described.get("connectors")
    for one in connectors if isinstance(connectors, list) else ():
        if isinstance(one, dict) and one.get("evse") == session.evse and (
            one.get("connector", 1) == session.connector
        ):  # fmt: skip
            power = one.get("max_power_w")
            if isinstance(power, int | float) and power > 0:
                return int(power)
    return now.csms.max_power_w


def settle(now: Acting) -> None:
    """Settle what has waited long enough for late messages, or leave it to a person."""
    found = now.tx.all(
        "SELECT id FROM session WHERE settle_at <= ? ORDER BY settle_at, id", times.text(now.at)
    )
    for (id_,) in found:
        session = rows.read(now.tx, id_)
        facts = sources.kept(now.tx, id_)
        case = case_of(now, session, facts)
        if case.result.missing and not rows.is_waived(now, id_):
            rows.write(now, replace(session, state=State.REVIEW), rows.priced(now, session, case.result))
        else:
            settling.issue(now, session, case)
