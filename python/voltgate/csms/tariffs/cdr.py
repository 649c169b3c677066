"""What a CDR says of money: the member ``bill`` of a document, and documents as their readers see them.

A document is an invoice, or the credit that takes one back, and is never changed (the ledger writes it, with
the rows and facts behind it). Its ``bill`` holds all that the amounts follow from: the lines, the tariff, the
zone, and the usage; so they can be recomputed when everything else is gone. A credit has the same bill with
the amounts and quantities of its lines negative. Amounts and quantities are decimal strings; ``usage`` is
base64 of zlib of JSON.
"""

import base64
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any
from zoneinfo import ZoneInfo

import orjson

from voltgate.csms.ledger import times
from voltgate.csms.tariffs import money
from voltgate.csms.tariffs.price import Bill, Line, price
from voltgate.csms.tariffs.tariff import Tariff
from voltgate.csms.tariffs.usage import Usage


class CdrKind(StrEnum):
    """What a document is."""

    INVOICE = "invoice"
    CREDIT = "credit"


@dataclass(frozen=True, slots=True)
class Billed:
    """A session and what it costs. ``tariff``: the TariffType; empty where none was assigned."""

    evse: int
    connector: int
    transaction: str
    token: str
    started: datetime
    ended: datetime
    mwh: int
    charging_s: int
    idle_s: int
    flags: tuple[str, ...]
    bill: Bill
    tariff: Mapping[str, Any]
    tariff_revision: int
    zone: str
    usage: Usage

    def credited(self) -> "Billed":
        """With what was billed taken back."""
        bill = self.bill
        lines = tuple(
            replace(one, quantity=-one.quantity, amount=-one.amount, tax=-one.tax) for one in bill.lines
        )
        return replace(self, bill=Bill(lines, -bill.total, -bill.tax, bill.currency))

    def recomputed(self) -> Bill:
        """The bill that follows from usage and tariff alone."""
        if not self.tariff:
            return Bill((), 0, 0, self.bill.currency)
        return price(self.usage, Tariff.read(self.tariff), ZoneInfo(self.zone))

    def json(self) -> dict[str, Any]:
        """The member ``bill`` of a document."""
        bill = self.bill
        return {
            "evse": self.evse,
            "connector": self.connector,
            "transaction": self.transaction,
            "token": self.token,
            "started": times.text(self.started),
            "ended": times.text(self.ended),
            "energy_wh": f"{Decimal(self.mwh) / 1000:f}",
            "charging_s": self.charging_s,
            "idle_s": self.idle_s,
            "flags": list(self.flags),
            "currency": bill.currency,
            "cost": bill.cost,
            "tax": money.text(bill.tax, bill.currency),
            "lines": [line(one, bill.currency) for one in bill.lines],
            "tariff": dict(self.tariff),
            "tariff_revision": self.tariff_revision,
            "zone": self.zone,
            "usage": base64.b64encode(zlib.compress(orjson.dumps(self.usage.rows()), 9)).decode(),
        }

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> "Billed":
        """The inverse of :meth:`json`. KeyError, TypeError or ValueError for what is not one."""
        currency = given["currency"]
        lines = tuple(_line(one, currency) for one in given["lines"])
        total, tax = (money.parsed(given[name], currency) for name in ("cost", "tax"))
        usage = orjson.loads(zlib.decompress(base64.b64decode(given["usage"], validate=True)))
        return cls(
            evse=given["evse"],
            connector=given["connector"],
            transaction=given["transaction"],
            token=given["token"],
            started=times.parsed(given["started"]),
            ended=times.parsed(given["ended"]),
            mwh=int(Decimal(given["energy_wh"]) * 1000),
            charging_s=given["charging_s"],
            idle_s=given["idle_s"],
            flags=tuple(given["flags"]),
            bill=Bill(lines, total, tax, currency),
            tariff=given["tariff"],
            tariff_revision=given["tariff_revision"],
            zone=given["zone"],
            usage=Usage.of(usage),
        )


@dataclass(frozen=True, slots=True)
class Cdr:
    """A document as other systems read it; ``credits`` is the id of the invoice that a credit takes back."""

    id: str
    number: str
    kind: CdrKind
    site: str
    session: str
    charger: str
    revision: int
    issued: datetime
    billed: Billed
    credits: str = ""
    why: str = ""


def read(document: bytes) -> Cdr:
    """A message of ``ops.cdr.<token>``. KeyError, TypeError or ValueError for what is not a document."""
    given = orjson.loads(document)
    head = given["cdr"]
    return Cdr(
        id=head["id"],
        number=head["number"],
        kind=CdrKind(head["kind"]),
        site=head["site"],
        session=head["session"],
        charger=head["charger"],
        revision=head["revision"],
        issued=times.parsed(head["issued"]),
        billed=Billed.of(given["bill"]),
        credits=given.get("credits", ""),
        why=given.get("why", ""),
    )


def line(one: Line, currency: str) -> dict[str, str]:
    """A line as documents and the API write it."""
    return {
        "kind": one.kind,
        "from": times.text(one.start),
        "to": times.text(one.end),
        "quantity": f"{one.quantity:f}",
        "unit": one.unit,
        "price": f"{one.price:f}",
        "amount": money.text(one.amount, currency),
        "tax": money.text(one.tax, currency),
    }


def _line(given: Mapping[str, str], currency: str) -> Line:
    return Line(
        given["kind"],
        times.parsed(given["from"]),
        times.parsed(given["to"]),
        Decimal(given["quantity"]),
        given["unit"],
        Decimal(given["price"]),
        money.parsed(given["amount"], currency),
        money.parsed(given["tax"], currency),
    )
