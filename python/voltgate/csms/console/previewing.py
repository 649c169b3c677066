"""The handler of previews: what settled sessions would have cost by another tariff."""

from collections.abc import Iterator
from datetime import timedelta
from itertools import islice
from typing import Any
from zoneinfo import ZoneInfo

import orjson
from aiohttp import web

from voltgate.csms.console.bodies import PreviewBody
from voltgate.csms.console.console import Ask, answered
from voltgate.csms.console.deciding import document_of, tariff_of
from voltgate.csms.console.pages import Where
from voltgate.csms.console.reader import Query
from voltgate.csms.ledger import times
from voltgate.csms.tariffs import money
from voltgate.csms.tariffs.cdr import Billed
from voltgate.csms.tariffs.preview import Past, preview

LATELY = timedelta(days=30)  # where no span is given
MOST = 10_000  # sessions, the latest first
PIECE = 100  # in one go of a reader's thread


async def post_preview(ask: Ask) -> web.Response:
    """Price the invoices of a span again; nothing is stored."""
    body = ask.said(PreviewBody)
    tariff = tariff_of("preview", document_of(body, {"from_", "to", "site"}))
    where, end = Where(["kind = 'invoice'"]), body.to or ask.console.now()
    where.add("issued >= ? AND issued < ?", times.text(body.from_ or end - LATELY), times.text(end))
    where.equal("site", body.site)
    sql = f"SELECT id FROM cdr{where} ORDER BY issued DESC, id DESC LIMIT ?"
    reader = ask.console.rows.reader
    ids = iter([row[0] for row in await reader.all(sql, *where.args, MOST)])
    sums = {"before": 0, "after": 0, "less": 0, "more": 0, "same": 0, "other_currency": 0}
    while piece := list(islice(ids, PIECE)):
        found = await reader.run(lambda query, piece=piece: preview(_pasts(query, piece), tariff))  # type: ignore[misc]
        for name in sums:
            sums[name] += getattr(found, name)
    before, after = sums["before"], sums["after"]
    shown: dict[str, Any] = {name: money.text(sums[name], tariff.currency) for name in ("before", "after")}
    percent = round(100 * (after - before) / before, 2) if before else None
    return answered({"currency": tariff.currency, "percent": percent} | sums | shown)


def _pasts(query: Query, ids: list[str]) -> Iterator[Past]:
    for id_ in ids:
        ((document,),) = query("SELECT document FROM cdr WHERE id = ?", id_)
        billed = Billed.of(orjson.loads(document)["bill"])
        yield Past(billed.usage, ZoneInfo(billed.zone), billed.bill.total, billed.bill.currency)
