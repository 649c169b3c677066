"""What leaves when a session is settled: an invoice, and after a change a credit and another invoice.

A document is never changed. Numbers are allotted per site and year inside the transaction that issues the
document, so none is missing and none appears twice.
"""

from dataclasses import dataclass, replace
from datetime import datetime

from voltgate.csms.ledger import decided, documents, explaining, pricing, rows, sources, times
from voltgate.csms.ledger.acting import Acting
from voltgate.csms.ledger.decisions import Kind
from voltgate.csms.ledger.documents import Cdr
from voltgate.csms.ledger.flags import joined
from voltgate.csms.ledger.pricing import Place
from voltgate.csms.ledger.rows import Priced, Session
from voltgate.csms.ledger.session import Derived, State, Surroundings
from voltgate.csms.ledger.store import Tx
from voltgate.csms.ledger.told import Source
from voltgate.csms.tariffs.cdr import Billed
from voltgate.csms.tariffs.price import Bill


@dataclass(frozen=True, slots=True)
class Case:
    """A session's facts, what was known beside them, and what follows."""

    facts: tuple[Source, ...]
    around: Surroundings
    result: Derived


def issue(now: Acting, session: Session, case: Case) -> None:
    """Settle: write the row, and publish the invoice."""
    tx, revision, result = now.tx, session.revision + 1, case.result
    found = rows.priced(now, session, result)
    rows.write(now, replace(session, state=State.SETTLED, revision=revision), found)
    cdr = Cdr(
        id=f"{session.id}/{revision}",
        number=_number(now, found.where),
        site=found.where.site,
        session=session.id,
        charger=session.charger,
        revision=revision,
        kind="invoice",
        cost=found.cost or 0,
        currency=found.currency,
        mwh=result.energy.mwh,
        issued=times.text(now.at),
    )
    documents.publish(
        tx,
        cdr,
        documents.of_session(tx, session.id, case.facts, explaining.inputs(tx, found, case.around))
        | {"bill": _billed(tx, found, now.at).json()},
        now.settings.prefix,
    )
    tx.run("UPDATE said SET body = NULL WHERE session = ?", session.id)


def revise(now: Acting, session: Session, case: Case) -> None:
    """Credit a settled session and issue it again, if what was found out since changes its bill."""
    tx, result = now.tx, case.result
    found = rows.priced(now, session, result)
    ended = None if result.ended is None else times.text(result.ended)
    same = (found.cost, result.energy.mwh, ended) == (session.cost, session.mwh, session.ended)
    if same or result.ended is None or result.missing:
        tx.run("UPDATE session SET flags = ?, due = 0 WHERE id = ?", joined(set(found.flags)), session.id)
        return
    invoices = [one for one in documents.of(tx, session.id) if one.kind == "invoice"]
    before = invoices[-1]
    credit = replace(
        before,
        id=f"{before.id}/credit",
        number=_number(now, replace(found.where, site=before.site)),
        kind="credit",
        cost=-before.cost,
        mwh=-before.mwh,
        issued=times.text(now.at),
    )
    taken = Billed.of((documents.document(tx, before.id) or {})["bill"]).credited()
    content = {"credits": before.id, "why": _why(now, session.id), "bill": taken.json()}
    documents.publish(tx, credit, content, now.settings.prefix)
    issue(now, session, case)


def _billed(tx: Tx, found: Priced, at: datetime) -> Billed:
    """What the document says of money. Without lines there is no tariff behind the cost."""
    result, body = found.result, pricing.tariff_body(tx, found.choice) if found.lines else None
    tariff = None if body is None else pricing.tariff_of(found.choice.tariff, body, found.where)
    tax = sum(one.tax for one in found.lines)
    return Billed(
        evse=result.evse,
        connector=result.connector,
        transaction=result.tx,
        token=result.token,
        started=result.started or result.ended or at,
        ended=result.ended or at,
        mwh=result.energy.mwh,
        charging_s=int(result.charging.total_seconds()),
        idle_s=int(result.idle.total_seconds()),
        flags=tuple(sorted(flag.label for flag in found.flags)),
        bill=Bill(found.lines, found.cost or 0, tax, found.currency),
        tariff={} if tariff is None else tariff.body,
        tariff_revision=found.choice.revision,
        zone=found.where.zone.key or "UTC",
        usage=pricing.usage(result),
    )


def _why(now: Acting, session: str) -> str:
    for kind in (Kind.WAIVER, Kind.CORRECTION):
        if decided.body_of(now.tx, kind, session, now.at) is not None:
            row = now.tx.one(
                "SELECT by, why FROM decision WHERE kind = ? AND id = ? ORDER BY seq DESC LIMIT 1",
                kind,
                session,
            )
            return f"{row[1]} ({row[0]})" if row is not None else ""
    return "a message came late"


def documented(tx: Tx, session: str) -> list[Source]:
    """The facts of a settled session, from its last invoice."""
    invoices = [one for one in documents.of(tx, session) if one.kind == "invoice"]
    return [sources.of_entry(one) for one in documents.facts(tx, invoices[-1].id)] if invoices else []


def _number(now: Acting, where: Place) -> str:
    """The next number of a site and year; the year is that of the site's calendar."""
    year = now.at.astimezone(where.zone).year
    now.tx.run(
        "INSERT INTO number (site, year, last) VALUES (?, ?, 1) "
        "ON CONFLICT (site, year) DO UPDATE SET last = number.last + 1",
        where.site, year,
    )  # fmt: skip
    (last,) = now.tx.one("SELECT last FROM number WHERE site = ? AND year = ?", where.site, year) or (0,)
    series = f"{where.site}-{year}" if where.site else str(year)
    return f"{series}-{last:06d}"
