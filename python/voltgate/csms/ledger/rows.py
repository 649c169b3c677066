"""Rows of sessions: read for a derivation, written after it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime

from voltgate.csms.ledger import decided, pricing, times
from voltgate.csms.ledger.acting import Acting
from voltgate.csms.ledger.decisions import Kind
from voltgate.csms.ledger.flags import Flag, joined
from voltgate.csms.ledger.pricing import Choice, Place
from voltgate.csms.ledger.samples import Point
from voltgate.csms.ledger.session import Derived, State
from voltgate.csms.ledger.store import Tx
from voltgate.csms.tariffs.price import Line


@dataclass(frozen=True, slots=True)
class Session:
    """What a derivation needs of a session's row."""

    id: str
    charger: str
    evse: int
    connector: int
    state: State
    mwh: int
    tariff: str
    tariff_rev: int
    cost: int | None
    revision: int
    ended: str | None
    first_heard: str
    heard: str
    presumed: str | None
    settle_at: str | None


_COLUMNS = ", ".join(field.name for field in fields(Session))


def read(tx: Tx, id_: str) -> Session:
    """The row of a session. Raises LookupError."""
    row = tx.one(f"SELECT {_COLUMNS} FROM session WHERE id = ?", id_)
    if row is None:
        raise LookupError(id_)
    session = Session(*row)
    return replace(session, state=State(session.state))


@dataclass(frozen=True, slots=True)
class Priced:
    """A derivation with its price."""

    result: Derived
    choice: Choice
    where: Place
    lines: tuple[Line, ...]
    cost: int | None
    currency: str
    flags: frozenset[Flag]


def priced(now: Acting, session: Session, result: Derived) -> Priced:
    """A session's cost: None before its end, and where its start is not known."""
    where = pricing.place(now.tx, session.charger, result.started or now.at, now.csms)
    choice = Choice(session.tariff, session.tariff_rev)
    if not choice.tariff:
        choice = pricing.chosen(now.tx, session.charger, result, where.site)
    flags = set(result.flags)
    if result.started is not None and not choice.tariff:
        flags.add(Flag.NO_TARIFF)
    if result.started is None or result.ended is None:
        return Priced(result, choice, where, (), None, where.currency, frozenset(flags))
    bill = pricing.bill(now.tx, result, choice, where)
    if is_waived(now, session.id):
        flags.add(Flag.WAIVED)
        bill = None
    if Flag.START_REFUSED in flags and not result.energy.mwh:
        bill = None
    if bill is None:
        return Priced(result, choice, where, (), 0, where.currency, frozenset(flags))
    return Priced(result, choice, where, bill.lines, bill.total, bill.currency, frozenset(flags))


def is_waived(now: Acting, session: str) -> bool:
    """Whether a person has waived the cost."""
    return decided.body_of(now.tx, Kind.WAIVER, session, now.at) is not None


def write(now: Acting, session: Session, found: Priced, settle_at: datetime | None = None) -> None:
    """Write what was derived, with state and revision of ``session``."""
    one = found.result
    now.tx.run(
        "UPDATE session SET evse = ?, connector = ?, tx = ?, token = ?, started = ?, first_energy = ?, "
        "ended = ?, plug_out = ?, reason = ?, state = ?, mwh = ?, method = ?, mwh_proven = ?, power_w = ?, "
        "peak_w = ?, soc_from = ?, soc_to = ?, charging_s = ?, idle_s = ?, tariff = ?, tariff_rev = ?, "
        "currency = ?, cost = ?, flags = ?, revision = ?, settle_at = ?, due = 0 WHERE id = ?",
        one.evse, one.connector, one.tx, one.token, _stamp(one.started), _stamp(one.first_energy),
        _stamp(one.ended), _stamp(one.plug_out), one.reason, session.state, one.energy.mwh,
        one.energy.method, one.energy.proven, one.power_w if one.ended is None else None, one.peak_w,
        one.soc_from, one.soc_to, int(one.charging.total_seconds()), int(one.idle.total_seconds()),
        found.choice.tariff, found.choice.revision, found.currency, found.cost, joined(set(found.flags)),
        session.revision, _stamp(settle_at), session.id,
    )  # fmt: skip
    _lines(now.tx, session, found.lines)
    if one.ended is not None:
        now.tx.run("DELETE FROM sample WHERE session = ?", session.id)
        add_samples(now.tx, session.id, one.points, one.ended)
        for (stream, seq), use in sorted(one.used.items()):
            now.tx.run(
                "UPDATE said SET used_for = ? WHERE session = ? AND stream = ? AND seq = ?",
                use, session.id, stream, seq,
            )  # fmt: skip


def _stamp(at: datetime | None) -> str | None:
    return None if at is None else times.text(at)


def _lines(tx: Tx, session: Session, lines: Sequence[Line]) -> None:
    """The lines of the last revision; those of earlier ones are in their documents."""
    tx.run("DELETE FROM line WHERE session = ?", session.id)
    for number, one in enumerate(lines):
        tx.run(
            "INSERT INTO line (session, revision, number, kind, begins, ends, quantity, unit, price, amount, "
            "tax) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            session.id, session.revision, number, one.kind, times.text(one.start), times.text(one.end),
            str(one.quantity), one.unit, str(one.price), one.amount, one.tax,
        )  # fmt: skip


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
