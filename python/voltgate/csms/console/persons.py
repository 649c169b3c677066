"""Handlers of people: operators and their login links, keys, tokens."""

from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from aiohttp import web

from voltgate.config import Config
from voltgate.csms.console import bodies, keys
from voltgate.csms.console.auth import LINK_LASTS
from voltgate.csms.console.console import Ask, answered, public_url
from voltgate.csms.console.people import Key, Kind, Operator
from voltgate.csms.console.problems import Kind as Faults
from voltgate.csms.console.problems import Problem
from voltgate.csms.console.roles import Role, RoleName
from voltgate.csms.console.tokens import masked
from voltgate.csms.console.writer import Writer
from voltgate.csms.ledger import times
from voltgate.csms.ledger.decisions import Kind as Decides


async def people(ask: Ask) -> web.Response:
    """Operators."""
    rows = ask.console.people.rows(Kind.OPERATOR)
    return answered({"items": [_shown(name, *row) for name, row in sorted(rows.items())], "next": None})


async def put_person(ask: Ask) -> web.Response:
    """An operator, or another role or sites for one."""
    body = ask.said(bodies.PersonBody)
    revision = await ask.console.writer.put(
        Kind.OPERATOR, ask.id, {"role": body.role, "sites": body.sites}, expected=ask.expected
    )
    return answered({"name": ask.id, "revision": revision}, etag=f'"{revision}"')


async def delete_person(ask: Ask) -> web.Response:
    """Nobody logs in by that name any more, and the sessions end, also if it is given again."""
    console = ask.console
    for kind in (Kind.LINK, Kind.SESSION):
        for id_, (_, entry) in list(console.people.rows(kind).items()):
            if entry.operator == ask.id:
                await console.writer.remove(kind, id_)
    return await _removed(ask, Kind.OPERATOR, ask.id)


async def link_person(ask: Ask) -> web.Response:
    """A link that logs an operator in, once."""
    if ask.console.people.operator(ask.id) is None:
        raise Problem(Faults.NOT_FOUND)
    secret = await new_link(ask.console.writer, ask.id, ask.console.now())
    until = times.text(ask.console.now() + LINK_LASTS)
    return answered({"url": link_url(ask.console.url, secret), "until": until})


async def new_link(writer: Writer, operator: str, now: datetime) -> str:
    """The secret of a new login link of an operator."""
    secret = keys.new_secret()
    body = {"operator": operator, "until": times.text(now + LINK_LASTS)}
    await writer.put(Kind.LINK, keys.id_of(secret), body, lasts=LINK_LASTS)
    return secret


async def terminal_link(
    writer: Writer, config: Config, name: str, role: str = "", sites: list[str] | None = None
) -> str:
    """The address of a new login link, for a terminal. ``role``: the operator is added, or gets it."""
    if role:
        await writer.put(Kind.OPERATOR, name, {"role": role, "sites": sites})
    return link_url(public_url(config), await new_link(writer, name, datetime.now(UTC)))


def link_url(public: str, secret: str) -> str:
    """The address that a person opens."""
    return f"{public}/login?link={quote(secret)}"


async def api_keys(ask: Ask) -> web.Response:
    """Keys, without what is secret."""
    rows = ask.console.people.rows(Kind.KEY)
    return answered({"items": [_shown(name, *row) for name, row in sorted(rows.items())], "next": None})


async def post_key(ask: Ask) -> web.Response:
    """A new key, shown once."""
    body = ask.said(bodies.KeyBody)
    if ask.id in ask.console.people.rows(Kind.KEY):
        raise Problem(Faults.CONFLICT, "there is a key of this name: remove it first")
    key = await new_key(ask.console.writer, ask.id, body.role, body.sites)
    return answered({"name": ask.id, "role": body.role, "key": key}, status=201)


async def new_key(writer: Writer, name: str, role: RoleName, sites: list[str] | None) -> str:
    """The text of a new key."""
    key = keys.new_key()
    await writer.put(Kind.KEY, name, {"id": key.id, "hash": key.hash, "role": role, "sites": sites})
    return key.text


async def delete_key(ask: Ask) -> web.Response:
    """The key is not valid any more."""
    return await _removed(ask, Kind.KEY, ask.id)


async def tokens(ask: Ask) -> web.Response:
    """Tokens that somebody decided on."""
    rows = ask.console.people.rows(Kind.TOKEN).values()
    plain = ask.principal.role >= Role.OPERATOR
    items = [
        {
            "token": token.text if plain else masked(token.text),
            "status": token.status,
            "group": token.group,
            "revision": revision,
        }
        for revision, token in sorted(rows, key=lambda row: row[1].text)
    ]
    return answered({"items": items, "next": None})


async def put_token(ask: Ask) -> web.Response:
    """Whether a token may charge. It is a person's, so there is no history of it."""
    body = ask.said(bodies.TokenBody)
    document = {"token": ask.id, "status": body.status, "group": body.group}
    known = ask.console.people.rows(Kind.TOKEN).get(ask.id.lower())
    if body.group != (known[1].group if known else None):
        await _group(ask, body.group)
    revision = await ask.console.writer.put(Kind.TOKEN, ask.id.lower(), document, expected=ask.expected)
    return answered({"token": ask.id, "revision": revision}, etag=f'"{revision}"')


async def _group(ask: Ask, group: str | None) -> None:
    """The ledger chooses a tariff by the group of a pseudonym; it is not told the token."""
    await ask.console.writer.decide(
        Decides.GROUP,
        ask.console.people.pseudonym(ask.id),
        {"group": group},
        by=ask.by,
        at=ask.console.now(),
    )


async def delete_token(ask: Ask) -> web.Response:
    """Erase it: what is left elsewhere is a pseudonym that nobody can lead back."""
    return await _removed(ask, Kind.TOKEN, ask.id.lower())


async def _removed(ask: Ask, kind: Kind, id_: str) -> web.Response:
    if id_ not in ask.console.people.rows(kind):
        raise Problem(Faults.NOT_FOUND)
    await ask.console.writer.remove(kind, id_, ask.expected)
    return web.Response(status=204)


def _shown(name: str, revision: int, entry: Operator | Key) -> dict[str, Any]:
    sites = None if entry.sites is None else sorted(entry.sites)
    return {"name": name, "role": entry.role.label, "sites": sites, "revision": revision}
