"""The documents of chargers: rows of three tables and the last decisions, in one go of a reader's thread."""

from collections import defaultdict
from typing import Any

import orjson

from voltgate.csms.console.pages import Where
from voltgate.csms.console.reader import Query
from voltgate.csms.ledger.store import Row

Document = dict[str, Any]
FEW = 500  # ids that are asked for one by one; more are a range


def read(query: Query, where: Where, limit: int, *, heard: bool = False) -> list[Document]:
    """Those that ``where`` finds, by id; with ``heard``, when each connector said something last."""
    rows = query(
        "SELECT c.id, c.link, c.link_at, c.vendor, c.model, c.firmware, c.version, c.site FROM charger c"
        f"{where} ORDER BY c.id LIMIT ?",
        *where.args,
        limit,
    )
    if not rows:
        return []
    ids = [row[0] for row in rows]
    among = _among("id", ids)
    named = query(
        f"SELECT id, body FROM decision WHERE kind = 'charger' AND {among} ORDER BY seq", *among.args
    )
    names = {id_: orjson.loads(body).get("name") for id_, body in named}
    connectors = _connectors(query, _among("charger", ids))
    if not heard:
        connectors = {id_: [without_heard(one) for one in some] for id_, some in connectors.items()}
    return [
        {
            "id": id_,
            "online": link == "up",
            "since": link_at,
            "vendor": vendor or None,
            "model": model or None,
            "firmware": firmware or None,
            "version": version or None,
            "site": site or None,
            "name": names.get(id_),
            "connectors": connectors.get(id_, []),
        }
        for id_, link, link_at, vendor, model, firmware, version, site in rows
    ]


def without_heard(connector: Document) -> Document:
    """As the API has it."""
    return {name: value for name, value in connector.items() if name != "heard"}


class _Among:
    """A condition that finds some chargers, and perhaps others between them."""

    def __init__(self, term: str, args: list[str]) -> None:
        self._term, self.args = term, args

    def __str__(self) -> str:
        return self._term


def _among(column: str, ids: list[str]) -> _Among:
    if len(ids) > FEW:
        return _Among(f"{column} BETWEEN ? AND ?", [ids[0], ids[-1]])
    return _Among(f"{column} IN ({', '.join('?' * len(ids))})", ids)


def _connectors(query: Query, among: _Among) -> dict[str, list[Document]]:
    """By charger; power, energy and state of charge are those of the open session."""
    rows = query(
        "SELECT charger, evse, connector, status, error, since, heard FROM connector"
        f" WHERE {among} ORDER BY charger, evse, connector",
        *among.args,
    )
    sessions = query(
        "SELECT charger, evse, connector, id, power_w, mwh, soc_to, started, heard FROM session"
        f" WHERE state = 'open' AND {among} ORDER BY first_heard",
        *among.args,
    )
    known = {row[:3] for row in rows}
    running = {row[:3]: row[3:] for row in sessions if row[:3] in known}
    # 2.x may name the EVSE alone, and a session may come before the first status.
    others = {row[:2]: row[3:] for row in sessions if row[:3] not in known}
    found: dict[str, list[Document]] = defaultdict(list)
    for charger, evse, connector, *said in rows:
        session = running.get((charger, evse, connector)) or others.pop((charger, evse), None)
        found[charger].append(_connector(evse, connector, tuple(said), session))
    for (charger, evse), session in others.items():
        found[charger].append(_connector(evse, 1, (None, None, None, None), session))
    return found


def _connector(evse: int, connector: int, said: Row, session: Row | None) -> Document:
    status, error, since, heard = said
    id_, power_w, mwh, soc, started, lately = session or (None, None, None, None, None, None)
    return {
        "evse": evse,
        "connector": connector,
        "status": status,
        "error": error or None,
        "power_w": power_w,
        "energy_wh": None if mwh is None else mwh / 1000,
        "soc": soc,
        "session": id_,
        "since": since or started,
        "heard": max(heard or "", lately or "") or None,
    }
