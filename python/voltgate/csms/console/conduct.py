"""Handlers of what chargers do too much or wrong (``noise``)."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from aiohttp import web

from voltgate.csms.console import noise
from voltgate.csms.console.console import Ask, answered
from voltgate.csms.console.endpoints import HoursQuery
from voltgate.csms.console.facts import at_of
from voltgate.csms.console.noise import MOST, TALKED, Model, Models
from voltgate.csms.console.roles import Principal
from voltgate.csms.ledger import times


async def get_violations(ask: Ask) -> web.Response:
    """What chargers get wrong, by maker, model and firmware."""
    hours, console = ask.queried(HoursQuery).hours, ask.console
    facts = await console.noise.violated(hours)
    models = await _models(ask)
    since = console.now() - timedelta(hours=hours)
    whole = len(facts) < MOST
    if not whole:
        since = at_of(facts[0])
    items = await asyncio.to_thread(noise.violations, facts, models, _sees(ask.principal))
    return answered({"items": items, "next": None, "since": times.text(since), "complete": whole})


async def get_talkers(ask: Ask) -> web.Response:
    """The chargers that send most."""
    console = ask.console
    facts, begin_at = await console.noise.talked(console.now())
    begin = max(console.now() - TALKED, datetime.fromtimestamp(begin_at, UTC))
    minutes = max((console.now() - begin).total_seconds(), 1.0) / 60
    models = await _models(ask)
    items = await asyncio.to_thread(noise.talkers, facts, models, minutes, _sees(ask.principal))
    return answered(
        {
            "items": items,
            "next": None,
            "since": times.text(begin),
            "messages": len(facts),
            "complete": not begin_at,
        }
    )


def _sees(principal: Principal) -> Callable[[str], bool]:
    return lambda site: principal.sees(site or None)


async def _models(ask: Ask) -> Models:
    rows = await ask.console.rows.reader.all("SELECT id, vendor, model, firmware, site FROM charger")
    return {id_: Model(*(text or "" for text in said)) for id_, *said in rows}
