"""Questions of backends, answered from the database: ``ops.ask.*`` (docs/csms/backend.md).

Reading only. A cost is what the bill would be if the session ended with the last message; the message behind
the question counts, folded or not. What is not known is null, never 0.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from voltgate.csms.ledger import closing, decided, names, pricing, rows, sources
from voltgate.csms.ledger.acting import Acting
from voltgate.csms.ledger.decisions import Kind
from voltgate.csms.ledger.facts import identity
from voltgate.csms.ledger.pseudonyms import Pseudonyms
from voltgate.csms.ledger.session import State
from voltgate.csms.ledger.told import Source, told
from voltgate.csms.tariffs import money

Question = Mapping[str, Any]
MOST = 200  # chargers in one question


class UnanswerableError(Exception):
    """The question is none of those in the docs."""


@dataclass(frozen=True, slots=True)
class Asks:
    """At one moment, inside one transaction."""

    now: Acting
    pseudonyms: Pseudonyms

    def answer(self, what: str, question: Question) -> dict[str, Any]:
        """The reply to ``ops.ask.<what>``. Raises UnanswerableError."""
        if what not in ANSWERS:
            raise UnanswerableError(what)
        try:
            return ANSWERS[what](self, question)
        except (KeyError, TypeError, AttributeError) as error:
            raise UnanswerableError(f"{what}: {type(error).__name__}") from None

    def cost(self, question: Question) -> dict[str, Any]:
        """What a session costs with the message behind the question."""
        tx = self.now.tx
        if not decided.is_any(tx, Kind.ASSIGNMENT):
            return {"cost": None}  # networks begin without tariffs, and backends ask with each message
        charger, event = identity(question["charger"]), self.pseudonyms.hide(question["event"])
        name, source = f"id:{question['transaction']}", self._source(event, str(question["transaction"]))
        one = told(source)
        known = names.last(tx, charger, name, source, one) if one is not None else None
        if known is None:
            return {"cost": None}
        session, kept = rows.read(tx, known.id), sources.kept(tx, known.id)
        if session.state in (State.SETTLED, State.REVIEW):
            return {"cost": _text(session.cost, self._currency(session.id))}
        if all(source.body != event for source in kept):
            kept.append(self._source(event, kept[0].version if kept else ""))
        result = closing.case_of(self.now, session, kept).result
        where = pricing.place(tx, charger, result.started or self.now.at, self.now.csms)
        choice = pricing.Choice(session.tariff, session.tariff_rev)
        if not choice.tariff:
            choice = pricing.chosen(tx, charger, result, where.site)
        bill = pricing.bill(tx, result, choice, where)
        return {"cost": None if bill is None else _text(bill.total, bill.currency)}

    def open(self, question: Question) -> dict[str, Any]:
        """How many sessions of a token go on, but for the one that the question is about."""
        row = self.now.tx.one(
            "SELECT COUNT(*) FROM session s WHERE s.state = 'open' AND s.token = ? AND NOT EXISTS "
            "(SELECT 1 FROM said d WHERE d.session = s.id AND d.key = ?)",
            self.pseudonyms.of(question["token"]), question["but"],
        )  # fmt: skip
        return {"open": row[0] if row else 0}

    def tariffs(self, question: Question) -> dict[str, Any]:
        """The tariff of each charger as OCPP 2.1 has it, of a session that began now without a token."""
        return {"tariffs": {token: self._tariff(identity(token)) for token in question["chargers"][:MOST]}}

    def _tariff(self, charger: str) -> dict[str, Any] | None:
        tx, at = self.now.tx, self.now.at
        where = pricing.place(tx, charger, at, self.now.csms)
        choice = pricing.of_charger(tx, charger, at, where.site)
        return pricing.for_charger(tx, choice)

    def _source(self, event: dict[str, Any], version: str) -> Source:
        """The message behind the question, later than all that is folded."""
        return Source(
            "~", 0, "", "", "", self.now.at, "", version or "ocpp2.1", "TransactionEvent", event
        )  # "~" sorts behind every name of a stream

    def _currency(self, session: str) -> str:
        row = self.now.tx.one("SELECT currency FROM session WHERE id = ?", session)
        return str(row[0]) if row else ""


def _text(cost: int | None, currency: str) -> str | None:
    return None if cost is None else money.text(cost, currency)


ANSWERS: Mapping[str, Callable[[Asks, Question], dict[str, Any]]] = {
    "cost": Asks.cost,
    "open": Asks.open,
    "tariffs": Asks.tariffs,
}
