"""Handlers of power limits: of a charger, an EVSE, a site; and the composite schedule."""

from collections.abc import Mapping

import orjson
from aiohttp import web

from voltgate.csms.console import doing, limits
from voltgate.csms.console.commands import Ended
from voltgate.csms.console.console import Ask, Console, answered
from voltgate.csms.console.endpoints import EvseQuery
from voltgate.csms.console.operations import MOST_W, ClearBody, LimitBody, ScheduleBody, SiteLimitBody
from voltgate.csms.console.problems import Kind, Problem


async def put_limit(ask: Ask) -> web.Response:
    """Limit a charger, or one EVSE."""
    id_ = doing.command_id(ask)
    return answered(doing.outcome(await perform(ask.console, ask.id, ask.said(LimitBody), id_), id_))


async def delete_limit(ask: Ask) -> web.Response:
    """Take the limit back."""
    id_ = doing.command_id(ask)
    wanted = ClearBody(evse=ask.queried(EvseQuery).evse)
    return answered(doing.outcome(await clear(ask.console, ask.id, wanted, id_), id_))


async def get_schedule(ask: Ask) -> web.Response:
    """What the charger calculates from all its profiles."""
    id_, version = doing.command_id(ask), await doing.version(ask.console, ask.id)
    command = limits.asking(version, ask.said(ScheduleBody))
    ended = await ask.console.sender.send(ask.id, command, id_)
    return answered(doing.outcome(ended, id_) | limits.schedule(version, ended.body))


async def put_site_limit(ask: Ask) -> web.Response:
    """Share a site's limit over its chargers."""
    most = await _most(ask.console, ask.id)
    given = limits.shares(ask.said(SiteLimitBody).limit_w, most)

    async def one(charger: str, id_: str) -> Ended:
        wanted = LimitBody(limit=min(given[charger], MOST_W))
        return await perform(ask.console, charger, wanted, id_)

    what = f"limit of site {ask.id}: {ask.said(SiteLimitBody).limit_w} W"
    return doing.started(ask, what, dict.fromkeys(most, ask.id), one)


async def delete_site_limit(ask: Ask) -> web.Response:
    """Take the limits of a site's chargers back."""
    chargers = dict.fromkeys(await _chargers(ask.console, ask.id), ask.id)

    async def one(charger: str, id_: str) -> Ended:
        return await clear(ask.console, charger, ClearBody(), id_)

    return doing.started(ask, f"no limit of site {ask.id}", chargers, one)


async def perform(console: Console, charger: str, wanted: LimitBody, command_id: str) -> Ended:
    """Set it under this command id. Raises Problem, ImpossibleError."""
    version = await doing.version(console, charger)
    return await console.sender.send(charger, limits.setting(version, wanted, console.now()), command_id)


async def clear(console: Console, charger: str, wanted: ClearBody, command_id: str) -> Ended:
    """Take it back, likewise."""
    version = await doing.version(console, charger)
    return await console.sender.send(charger, limits.clearing(version, wanted.evse), command_id)


async def _most(console: Console, site: str) -> Mapping[str, int | None]:
    """The chargers of a site, and what each can take as far as somebody has said so. Raises Problem."""
    chargers = await _chargers(console, site)
    decided = await console.rows.reader.all(
        "SELECT id, body FROM decision WHERE kind = 'charger' ORDER BY seq"
    )
    bodies = {id_: orjson.loads(body) for id_, body in decided}
    return {id_: _power(bodies.get(id_, {}).get("connectors") or []) for id_ in chargers}


async def _chargers(console: Console, site: str) -> list[str]:
    """Raises Problem where the site has none."""
    rows = await console.rows.reader.all("SELECT id FROM charger WHERE site = ? ORDER BY id", site)
    if not rows:
        raise Problem(Kind.CONFLICT, "the site has no chargers")
    return [row[0] for row in rows]


def _power(connectors: list[dict[str, int]]) -> int | None:
    """Of all EVSEs: the connectors of one share its power."""
    evses: dict[int, int] = {}
    for one in connectors:
        evses[one["evse"]] = max(evses.get(one["evse"], 0), one["max_power_w"])
    return sum(evses.values()) or None
