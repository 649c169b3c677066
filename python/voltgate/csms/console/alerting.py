"""Handlers of alerts, their rules and channels, and of exclusions from uptime."""

import uuid
from collections.abc import Callable
from typing import Any, assert_never

import aiohttp
import orjson
from aiohttp import web

from voltgate.csms.alerts import channels, rules
from voltgate.csms.alerts.delivery import Again, Delivered, Delivery, GivenUp
from voltgate.csms.alerts.mail import Server
from voltgate.csms.alerts.notices import Notice
from voltgate.csms.console import bodies, scopes
from voltgate.csms.console.console import Ask, answered
from voltgate.csms.console.deciding import decide, document_of
from voltgate.csms.console.endpoints import Page
from voltgate.csms.console.pages import Cursor, Where, cursor
from voltgate.csms.console.people import Kind as Person
from voltgate.csms.console.problems import Fault, Kind, Problem
from voltgate.csms.console.roles import Role
from voltgate.csms.ledger import times
from voltgate.csms.ledger.decisions import Kind as Decides
from voltgate.csms.uptime import exclusions as excluding

_ID = "a.rule || '/' || a.subject"


async def alerts(ask: Ask) -> web.Response:
    """Newest first. What belongs to no charger is seen without a list of sites only."""
    page, where = ask.queried(Page), Where()
    where.sites("c.site", ask.principal)
    if page.after:
        where.behind("a.since", _ID, cursor(page.after))
    rows = await ask.console.rows.reader.all(
        f"SELECT {_ID}, a.rule, a.charger, a.evse, c.site, a.since, a.count, a.state, a.notified, a.muted"
        f" FROM alert a LEFT JOIN charger c ON c.id = a.charger{where}"
        f" ORDER BY a.since DESC, {_ID} DESC LIMIT ?",
        *where.args,
        page.limit + 1,
    )
    names = ("id", "rule", "charger", "evse", "site", "since", "count", "state", "notified", "muted")
    items = [dict(zip(names, row, strict=True)) for row in rows[: page.limit]]
    for one in items:
        one |= {name: one[name] or None for name in ("charger", "evse", "site", "muted")}
    last = items[-1] if len(rows) > page.limit else None
    return answered({"items": items, "next": last and str(Cursor(last["since"], last["id"]))})


async def mute(ask: Ask) -> web.Response:
    """Not to be sent again until a time: one alert, or all of a rule."""
    body = ask.said(bodies.MuteBody)
    return await decide(ask, Decides.MUTE, body, {"until": times.text(body.until)})


# -- rules and exclusions: they are of a scope, which their body names --------------------------------------


async def get_rules(ask: Ask) -> web.Response:
    """In force: the nine defaults, and what was decided."""
    rows = await ask.console.rows.reader.all("SELECT id, body FROM rule")
    known: dict[str, Any] = {one.label: {} for one in rules.Kind}
    known |= {id_: orjson.loads(body) for id_, body in rows}
    return answered({"items": [{"id": id_} | body for id_, body in sorted(known.items())], "next": None})


async def put_rule(ask: Ask) -> web.Response:
    """Replace a rule, or add one."""
    body = ask.said(bodies.RuleBody)
    document = document_of(body)
    _checked(lambda: rules.parsed(ask.id, document))
    return await _scoped(ask, Decides.RULE, body, document)


async def delete_rule(ask: Ask) -> web.Response:
    """Remove a rule, or restore its default."""
    return await _scoped(ask, Decides.RULE, bodies.DecisionBody(), {})


async def exclusions(ask: Ask) -> web.Response:
    """In force."""
    rows = await ask.console.rows.reader.all("SELECT id, scope, body FROM exclusion ORDER BY id")
    items = [
        {"id": id_} | orjson.loads(body)
        for id_, scope, body in rows
        if await scopes.sees(ask.console.rows, ask.principal, scope)
    ]
    return answered({"items": items, "next": None})


async def put_exclusion(ask: Ask) -> web.Response:
    """Time that is not counted against ports, with a reason of the list."""
    body = ask.said(bodies.ExclusionBody)
    document = document_of(body)
    _checked(lambda: excluding.parsed(document))
    return await _scoped(ask, Decides.EXCLUSION, body, document)


async def delete_exclusion(ask: Ask) -> web.Response:
    """Take an exclusion back."""
    return await _scoped(ask, Decides.EXCLUSION, bodies.DecisionBody(), {})


async def _scoped(
    ask: Ask, kind: Decides, body: bodies.DecisionBody, document: dict[str, Any]
) -> web.Response:
    """Decide, if both what is there and what comes in its place are of the principal's sites."""
    rows, principal = ask.console.rows, ask.principal
    if document and not await scopes.sees(rows, principal, document.get("scope", "default"), "/scope"):
        raise Problem(Kind.FORBIDDEN, "the scope is not of your sites")
    if not principal.everywhere:
        last = await rows.reader.one(
            "SELECT body FROM decision WHERE kind = ? AND id = ? ORDER BY seq DESC LIMIT 1", kind, ask.id
        )
        before = orjson.loads(last[0]).get("scope", "default") if last else None
        if (before is None and not document) or (
            before is not None and not await scopes.sees(rows, principal, before)
        ):
            raise Problem(Kind.NOT_FOUND)
        if kind is Decides.RULE and any(ask.id == one.label for one in rules.Kind):
            raise Problem(Kind.FORBIDDEN, "the rules that are there from the start are for every site")
    return await decide(ask, kind, body, document)


def _checked(parse: Callable[[], object]) -> None:
    """Raise Problem for what a room refuses: its texts are ``<member>: <reason>``."""
    try:
        parse()
    except ValueError as error:
        member, _, reason = str(error).partition(": ")
        raise Problem(Kind.INVALID, faults=[Fault(f"/{member.replace('.', '/')}", reason)]) from None


# -- channels -----------------------------------------------------------------------------------------------


async def get_channels(ask: Ask) -> web.Response:
    """Where notices go, without what is secret."""
    items = [
        {
            "id": id_,
            "revision": revision,
            "kind": body.get("kind"),
            "url": body.get("url") if ask.principal.role >= Role.MANAGER else None,
            "to": body.get("to") if ask.principal.role >= Role.MANAGER else None,
            "format": body.get("format"),
        }
        for id_, (revision, body) in sorted(ask.console.people.rows(Person.CHANNEL).items())
    ]
    return answered({"items": items, "next": None})


async def put_channel(ask: Ask) -> web.Response:
    """Add or change a channel."""
    document = ask.said(bodies.ChannelBody).model_dump(mode="json", exclude_unset=True)
    _checked(lambda: channels.parsed(document))
    revision = await ask.console.writer.put(Person.CHANNEL, ask.id, document, expected=ask.expected)
    return answered({"name": ask.id, "revision": revision}, etag=f'"{revision}"')


async def delete_channel(ask: Ask) -> web.Response:
    """Remove a channel."""
    if ask.id not in ask.console.people.rows(Person.CHANNEL):
        raise Problem(Kind.NOT_FOUND)
    await ask.console.writer.remove(Person.CHANNEL, ask.id, ask.expected)
    return web.Response(status=204)


async def try_channel(ask: Ask) -> web.Response:
    """Send one message to a channel, now and once, whatever the rules say."""
    found = ask.console.people.rows(Person.CHANNEL).get(ask.id)
    if found is None:
        raise Problem(Kind.NOT_FOUND)
    now = ask.console.now()
    notice = Notice(str(uuid.uuid4()), "test", "test", "Test of this channel", now, channels=(ask.id,))
    server = Server.configured(ask.console.config.csms)
    async with aiohttp.ClientSession(trust_env=True) as http:
        match await Delivery(http, server).attempt(notice, channels.parsed(found[1]), 1, now):
            case Delivered():
                error = None
            case Again(_, error) | GivenUp(error):
                pass
            case never:
                assert_never(never)
    return answered({"delivered": error is None, "error": error})
