"""Why this number: a session's lines and facts, and its invoice computed again from the document alone."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import orjson

from voltgate.csms.ledger import documents, pricing, sources, times
from voltgate.csms.ledger.pricing import Place
from voltgate.csms.ledger.rows import Priced
from voltgate.csms.ledger.session import Surroundings, derived
from voltgate.csms.ledger.store import Tx
from voltgate.csms.ledger.told import told
from voltgate.csms.tariffs import money


def inputs(tx: Tx, found: Priced, around: Surroundings) -> dict[str, Any]:
    """Everything that an invoice follows from, beside the facts."""
    body = pricing.tariff_body(tx, found.choice) if found.lines or found.cost else None
    percent = found.where.tax_percent
    return {
        "now": times.text(around.now),
        "max_power_w": around.max_power_w,
        "idle_power_w": around.idle_power_w,
        "presumed": None if around.presumed is None else times.text(around.presumed),
        "statuses": [[times.text(at), word] for at, word in around.statuses],
        "offsets_ms": [times.ms(offset) for offset in around.offsets],
        "corrected_mwh": around.corrected_mwh,
        "site": found.where.site,
        "zone": found.where.zone.key,
        "currency": found.where.currency,
        "tax_percent": None if percent is None else str(percent),
        "tariff": found.choice.tariff,
        "tariff_body": None if body is None else orjson.loads(body),
    }


@dataclass(frozen=True, slots=True)
class Recomputed:
    """What the document says, and what follows from its facts."""

    mwh: int
    cost: int
    documented_mwh: int
    documented_cost: int

    @property
    def agrees(self) -> bool:
        """Whether they are the same, to the last digit."""
        return (self.mwh, self.cost) == (self.documented_mwh, self.documented_cost)


def recomputed(document: Mapping[str, Any]) -> Recomputed:
    """An invoice computed again, from nothing but its document."""
    given = document["inputs"]
    around = Surroundings(
        now=times.parsed(given["now"]),
        max_power_w=given["max_power_w"],
        idle_power_w=given["idle_power_w"],
        presumed=None if given["presumed"] is None else times.parsed(given["presumed"]),
        statuses=[(times.parsed(at), word) for at, word in given["statuses"]],
        offsets=[timedelta(milliseconds=ms) for ms in given["offsets_ms"]],
        corrected_mwh=given["corrected_mwh"],
    )
    facts = [sources.of_entry(one) for one in documents.unpacked(dict(document))]
    result = derived([one for source in facts if (one := told(source)) is not None], around)
    cost, percent = 0, given["tax_percent"]
    if given["tariff_body"] is not None:
        where = Place(
            given["site"],
            ZoneInfo(given["zone"]),
            given["currency"],
            None if percent is None else Decimal(percent),
        )
        bill = pricing.billed(result, given["tariff"], orjson.dumps(given["tariff_body"]).decode(), where)
        cost = 0 if bill is None else bill.total
    cdr = document["cdr"]
    return Recomputed(result.energy.mwh, cost, cdr["mwh"], cdr["cost"])


def explained(tx: Tx, session: str) -> dict[str, Any] | None:
    """Lines and facts of a session as the API shows them; None: no such session."""
    row = tx.one(
        "SELECT id, charger, state, mwh, method, cost, currency, flags, revision FROM session WHERE id = ?",
        session,
    )
    if row is None:
        return None
    names = ("id", "charger", "state", "mwh", "method", "cost", "currency", "flags", "revision")
    shown = dict(zip(names, row, strict=True))
    currency = shown["currency"]
    lines = tx.all(
        "SELECT kind, begins, ends, quantity, unit, price, amount, tax FROM line WHERE session = ? "
        "ORDER BY revision, number",
        session,
    )
    facts = tx.all(
        "SELECT stream, seq, subject, used_for FROM said WHERE session = ? ORDER BY stream, seq", session
    )
    last = [one for one in documents.of(tx, session) if one.kind == "invoice"]
    document = documents.document(tx, last[-1].id) if last else None
    return {
        "session": shown | {"cost": None if shown["cost"] is None else money.text(shown["cost"], currency)},
        "lines": [
            {
                "kind": kind, "from": begins, "to": ends, "quantity": quantity, "unit": unit, "price": price,
                "amount": money.text(amount, currency), "tax": money.text(tax, currency),
            }
            for kind, begins, ends, quantity, unit, price, amount, tax in lines
        ],
        "facts": [
            {"stream": stream, "seq": seq, "subject": subject, "used_for": use}
            for stream, seq, subject, use in facts
        ],
        "invoice": last[-1].number if last else None,
        "recomputed": None if document is None else recomputed(document).agrees,
    }  # fmt: skip
