"""Documents as the ledger writes them."""

from typing import Any
from uuid import UUID, uuid5

import orjson

from csms.tariffs.sessions import BERLIN
from voltgate.csms.ledger import times
from voltgate.csms.tariffs.cdr import Billed
from voltgate.csms.tariffs.price import price
from voltgate.csms.tariffs.tariff import Tariff
from voltgate.csms.tariffs.usage import Usage

SESSION = "5f0c2c5e-5d5b-5a6e-8d3f-0d1a8d9d7f11"


def billed(usage: Usage, tariff: Tariff) -> Billed:
    """A session with its bill, in Berlin."""
    seconds = [int((one.end - one.start).total_seconds()) for one in usage.periods]
    return Billed(
        evse=1,
        connector=1,
        transaction="tx-1",
        token="pseudonym",
        started=usage.periods[0].start,
        ended=usage.periods[-1].end,
        mwh=usage.mwh,
        charging_s=sum(s for s, one in zip(seconds, usage.periods, strict=True) if one.charging),
        idle_s=sum(s for s, one in zip(seconds, usage.periods, strict=True) if one.billable_idle),
        flags=("clock_corrected",),
        bill=price(usage, tariff, BERLIN),
        tariff=tariff.body,
        tariff_revision=7,
        zone="Europe/Berlin",
        usage=usage,
    )


def document(one: Billed, number: int = 1, **head: Any) -> bytes:
    """An invoice of the site HH in 2026, or what ``head`` makes of it; ``session``: a name."""
    session = str(uuid5(UUID(SESSION), head.pop("session", "")))
    extra = {name: head.pop(name) for name in ("credits", "why") if name in head}
    written = {
        "id": f"{session}/1",
        "number": f"HH-2026-{number:06d}",
        "kind": "invoice",
        "site": "HH",
        "session": session,
        "charger": "RDAM 1",
        "revision": 1,
        "issued": times.text(one.ended),
        **head,
    }
    return orjson.dumps({"cdr": written, "bill": one.json(), **extra})
