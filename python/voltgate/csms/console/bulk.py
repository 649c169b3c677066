"""Handlers of bulk operations: one operation for a list of chargers, and how far it is."""

from collections.abc import Sequence

from aiohttp import web

from voltgate.csms.console import configuring, doing, filing, limiting
from voltgate.csms.console.commands import Ended
from voltgate.csms.console.console import Ask, answered
from voltgate.csms.console.jobs import documented
from voltgate.csms.console.operations import BulkBody
from voltgate.csms.console.problems import Fault, Kind, Problem
from voltgate.csms.console.roles import Role

FOR_MANAGERS = ("configuration", "firmware")


async def post_bulk(ask: Ask) -> web.Response:
    """Start it, once for each ``Idempotency-Key``."""
    wanted, console = ask.said(BulkBody), ask.console
    (name,) = wanted.given
    if name in FOR_MANAGERS and ask.principal.role < Role.MANAGER:
        raise Problem(Kind.FORBIDDEN, f"{name} needs the role manager")
    if wanted.do is not None and wanted.do.session is not None:
        raise Problem(Kind.INVALID, faults=[Fault("/do/session", "is of one charger")])
    chargers = await _seen(ask, wanted.chargers)

    async def one(charger: str, id_: str) -> Ended:
        if wanted.do is not None:
            return await doing.perform(console, charger, wanted.do, id_)
        if wanted.limit is not None:
            return await limiting.perform(console, charger, wanted.limit, id_)
        if wanted.clear_limit is not None:
            return await limiting.clear(console, charger, wanted.clear_limit, id_)
        if wanted.configuration is not None:
            return await configuring.perform(console, charger, wanted.configuration, id_)
        if wanted.firmware is not None:
            return await filing.update(console, charger, wanted.firmware, id_)
        if wanted.log is not None:
            return await filing.fetch(console, charger, wanted.log, id_)
        raise AssertionError(name)

    what = wanted.do.do.value if wanted.do is not None else name
    return doing.started(ask, what, chargers, one)


async def get_bulks(ask: Ask) -> web.Response:
    """The jobs of this console, the newest first, without their chargers."""
    found = [documented(job, ask.principal, brief=True) for job in ask.console.jobs]
    return answered({"items": [one for one in found if one["total"]], "next": None})


async def get_bulk(ask: Ask) -> web.Response:
    """One job, with the outcome of each charger that the asker sees."""
    job = ask.console.jobs.get(ask.id)
    found = None if job is None else documented(job, ask.principal)
    if found is None or not found["total"]:
        raise Problem(Kind.NOT_FOUND)
    return answered(found)


async def _seen(ask: Ask, ids: Sequence[str]) -> dict[str, str]:
    """The chargers with their sites. Raises Problem where one is not there for the asker."""
    wanted = list(dict.fromkeys(ids))
    rows = await ask.console.rows.reader.all(
        f"SELECT id, site FROM charger WHERE id IN ({', '.join('?' * len(wanted))})", *wanted
    )
    sites = {id_: site or "" for id_, site in rows if ask.principal.sees(site or None)}
    faults = [
        Fault(f"/chargers/{number}", "is not a charger at your sites")
        for number, id_ in enumerate(ids)
        if id_ not in sites
    ]
    if faults:
        raise Problem(Kind.INVALID, faults=faults)
    return {id_: sites[id_] for id_ in wanted}
