"""Whether a CDR is paid. Nothing here takes money: a person or an adapter decides ``due``, ``paid``, ...

      invoice:  DUE ---> PAID ---> REFUNDED           credit:  DUE ---> REFUNDED
                 |                                              |
                 +-----> WAIVED                                 +-----> WAIVED (the invoice was never paid)

The last decision counts, whatever was before it: banks take payments back, and people err. An adapter of an
acquirer reads ``ops.cdr.>`` and publishes decisions (docs/csms/tariffs.md). A credit of an invoice that
nobody has paid needs none: at a tick both are waived.
"""

from datetime import datetime
from enum import StrEnum

import structlog

from voltgate.csms.ledger import times
from voltgate.csms.ledger.decisions import Decision, Kind
from voltgate.csms.ledger.facts import Fact
from voltgate.csms.ledger.store import Tx

log = structlog.get_logger()


class Payment(StrEnum):
    """Of a credit, ``due`` is what the operator owes."""

    DUE = "due"
    PAID = "paid"
    REFUNDED = "refunded"
    WAIVED = "waived"


class Payments:
    """Folds decisions into ``cdr.payment``.

    In a rebuild every document is there before the first tick, so a decision counts only for documents of
    earlier ticks, as it did in the first run.
    """

    tables: tuple[str, ...] = (
        "CREATE INDEX cdr_owed ON cdr (session, revision) WHERE kind = 'credit' AND payment = 'due'",
    )

    def fact(self, tx: Tx, fact: Fact) -> None:
        """See Part."""

    def decision(self, tx: Tx, decision: Decision) -> None:
        """See Part."""
        if decision.kind != Kind.PAYMENT:
            return
        try:
            payment = Payment(decision.body["state"])
        except (KeyError, ValueError):
            log.warning("decision.skipped", seq=decision.seq, reason="its state is not one of a payment")
            return
        tx.run(
            "UPDATE cdr SET payment = ? WHERE id = ? AND issued < "
            "(SELECT tick FROM decision WHERE kind = ? AND id = ? AND seq = ?)",
            payment, decision.id, decision.kind, decision.id, decision.seq,
        )  # fmt: skip

    def tick(self, tx: Tx, at: datetime) -> None:
        """A credit and an invoice that is not paid cancel each other out."""
        rows = tx.all(
            "SELECT credit.id, invoice.id FROM cdr credit JOIN cdr invoice ON invoice.kind = 'invoice' "
            "AND invoice.session = credit.session AND invoice.revision = credit.revision "
            "WHERE credit.kind = 'credit' AND credit.payment = 'due' AND credit.issued <= ? "
            "AND invoice.payment IN ('due', 'waived')",
            times.text(at),
        )
        for row in rows:
            for id_ in row:
                tx.run("UPDATE cdr SET payment = ? WHERE id = ?", Payment.WAIVED, id_)
