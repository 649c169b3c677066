"""Decisions as the ledger has folded them: the last of each id, and all of them with who and why."""

from collections.abc import Iterable
from typing import Any

import orjson

from voltgate.csms.console.endpoints import AuditQuery, Page
from voltgate.csms.console.pages import Cursor, Where, cursor
from voltgate.csms.console.reader import Reader
from voltgate.csms.ledger.decisions import Kind

Document = dict[str, Any]


async def documents(reader: Reader, kind: Kind, page: Page, ids: Iterable[str] | None = None) -> Document:
    """A page in the order of ids; ``ids``: only these."""
    where = Where(["d.kind = ?"], [kind])
    if ids is not None:
        wanted = sorted(ids)
        where.add(f"d.id IN ({', '.join('?' * len(wanted))})", *wanted)
    if page.after:
        where.add("d.id > ?", cursor(page.after).id)
    rows = await reader.all(
        "SELECT d.id, d.seq, d.valid_from, d.body FROM decision d JOIN"
        " (SELECT kind, id, MAX(seq) AS seq FROM decision GROUP BY kind, id) last"
        f" ON last.kind = d.kind AND last.id = d.id AND last.seq = d.seq{where} ORDER BY d.id LIMIT ?",
        *where.args,
        page.limit + 1,
    )
    items = [
        {"id": id_, "revision": seq, "valid_from": valid_from, **orjson.loads(body)}
        for id_, seq, valid_from, body in rows[: page.limit]
    ]
    more = len(rows) > page.limit
    return {"items": items, "next": str(Cursor("", items[-1]["id"])) if more else None}


async def history(reader: Reader, query: AuditQuery) -> Document:
    """A page, newest first."""
    where = Where()
    where.equal("kind", query.kind)
    where.equal("id", query.id)
    if query.after:
        at = cursor(query.after)
        where.add("seq < ?", int(at.id) if at.id.isdecimal() else 0)
    rows = await reader.all(
        f"SELECT seq, kind, id, at, by, why, valid_from, body FROM decision{where} ORDER BY seq DESC LIMIT ?",
        *where.args,
        query.limit + 1,
    )
    items = [
        {
            "revision": seq,
            "kind": kind,
            "id": id_,
            "at": at,
            "by": by,
            "why": why,
            "valid_from": valid_from,
            "body": orjson.loads(body),
        }
        for seq, kind, id_, at, by, why, valid_from, body in rows[: query.limit]
    ]
    more = len(rows) > query.limit
    return {"items": items, "next": str(Cursor("", str(items[-1]["revision"]))) if more else None}
