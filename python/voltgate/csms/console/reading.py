"""Handlers that read."""

from typing import Any

from aiohttp import web

from voltgate.csms.console import openapi, position
from voltgate.csms.console.console import Ask, answered
from voltgate.csms.console.decided import documents, history
from voltgate.csms.console.endpoints import AuditQuery, CdrQuery, Page, SearchQuery, SessionQuery
from voltgate.csms.console.problems import Kind, Problem
from voltgate.csms.ledger import decisions
from voltgate.csms.tariffs import form
from voltgate.csms.tariffs.conditions import TariffFault
from voltgate.csms.tariffs.sentence import sentence


def _found(document: Any) -> Any:
    if document is None:
        raise Problem(Kind.NOT_FOUND)
    return document


async def charger(ask: Ask) -> web.Response:
    """One charger."""
    return answered(_found(await ask.console.rows.charger(ask.id)))


async def chargers(ask: Ask) -> web.Response:
    """A page of chargers. Its ETag can be the ``Last-Event-ID`` of ``live``."""
    rows = ask.console.rows
    at = await rows.reader.run(position.read)  # before the rows: they may be newer, which does no harm
    return answered(await rows.chargers(ask.queried(SearchQuery), ask.principal), etag=at.etag)


async def sessions(ask: Ask) -> web.Response:
    """A page of sessions."""
    return answered(await ask.console.rows.sessions(ask.queried(SessionQuery), ask.principal))


async def session(ask: Ask) -> web.Response:
    """One session."""
    return answered(_found(await ask.console.rows.session(ask.id, ask.principal)))


async def explain(ask: Ask) -> web.Response:
    """Why its number is what it is."""
    rows = ask.console.rows
    document = _found(await rows.session(ask.id, ask.principal))
    lines = await rows.lines(ask.id, document["currency"])
    return answered({"session": document, "lines": lines, "facts": await rows.facts(ask.id)})


async def curve(ask: Ask) -> web.Response:
    """What the meter of a session showed."""
    rows = ask.console.rows
    _found(await rows.session(ask.id, ask.principal))
    return answered({"items": await rows.curve(ask.id), "next": None})


async def cdrs(ask: Ask) -> web.Response:
    """A page of CDRs."""
    return answered(await ask.console.rows.cdrs(ask.queried(CdrQuery), ask.principal))


async def tariffs(ask: Ask) -> web.Response:
    """The last decision on each tariff, and what it means in a sentence."""
    page = await documents(ask.console.rows.reader, decisions.Kind.TARIFF, ask.queried(Page))
    for item in page["items"]:
        item["sentence"] = _sentence(item)
    return answered(page)


def _sentence(item: dict[str, Any]) -> str | None:
    given = {name: value for name, value in item.items() if name not in ("id", "revision", "valid_from")}
    try:
        return sentence(form.read(item["id"], given))
    except TariffFault:  # decided by another release, or not by a console
        return None


async def assignments(ask: Ask) -> web.Response:
    """The last decision on each scope."""
    return await _documents(ask, decisions.Kind.ASSIGNMENT)


async def payments(ask: Ask) -> web.Response:
    """The last decision on each payment."""
    return await _documents(ask, decisions.Kind.PAYMENT)


async def sites(ask: Ask) -> web.Response:
    """The last decision on each site."""
    return await _documents(ask, decisions.Kind.SITE)


async def _documents(ask: Ask, kind: decisions.Kind) -> web.Response:
    ids = ask.principal.sites if kind is decisions.Kind.SITE else None
    return answered(await documents(ask.console.rows.reader, kind, ask.queried(Page), ids))


async def audit(ask: Ask) -> web.Response:
    """Who decided what, when and why; newest first."""
    return answered(await history(ask.console.rows.reader, ask.queried(AuditQuery)))


async def health(ask: Ask) -> web.Response:
    """Whether the ledger keeps up."""
    console = ask.console
    at = await console.rows.reader.run(position.read)
    lag = console.lag.seconds(console.now().timestamp(), at.streams)
    status = "behind" if lag > position.BEHIND else "ok"
    return answered({"status": status, "lag_seconds": round(lag, 3), "position": at.streams}, etag=at.etag)


async def me(ask: Ask) -> web.Response:
    """Who asks."""
    principal = ask.principal
    sites = None if principal.sites is None else sorted(principal.sites)
    return answered(
        {"name": principal.name, "role": principal.role.label, "sites": sites, "by": principal.by}
    )


async def description(ask: Ask) -> web.Response:
    """OpenAPI."""
    del ask
    return answered(openapi.document())
