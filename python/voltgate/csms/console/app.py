"""The application: by the table of endpoints, a request gets principal, query and body, then its handler."""

from collections.abc import Awaitable, Callable, Mapping
from typing import assert_never

import orjson
import structlog
from aiohttp import web
from pydantic import BaseModel, ValidationError

from voltgate.csms.console import (
    alerting,
    billing,
    bulk,
    conduct,
    configuring,
    deciding,
    doing,
    filing,
    insights,
    limiting,
    login,
    persons,
    problems,
    reading,
    receipts,
    scopes,
    streaming,
    timeline,
    unknown,
)
from voltgate.csms.console.console import Ask, Console
from voltgate.csms.console.endpoints import ENDPOINTS, Endpoint, Query
from voltgate.csms.console.intents import ImpossibleError
from voltgate.csms.console.problems import Kind, Problem
from voltgate.csms.console.roles import By, Principal, Reach, Role
from voltgate.csms.console.shell import Shell
from voltgate.csms.ledger.store import StoreError

log = structlog.get_logger()

MAX_BODY = 256 * 1024
# What the ledger must have, for everybody.
_FOUND = frozenset({Reach.CHARGER, Reach.SESSION, Reach.CDR})
Handler = Callable[[Ask], Awaitable[web.StreamResponse]]
MODULES = (
    reading, deciding, doing, persons, streaming, alerting, insights, billing, configuring, limiting, filing,
    bulk, conduct, timeline, unknown,
)  # fmt: skip
NOBODY = Principal("", Role.VIEWER, frozenset(), By.KEY)
SECURITY = {
    "Content-Security-Policy": "default-src 'self'; base-uri 'none'; form-action 'self';"
    " frame-ancestors 'none'; object-src 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Server": "voltgate",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
HSTS = "max-age=31536000"


def handlers() -> Mapping[str, Handler]:
    """Of each endpoint, by its name."""
    return {
        one.name: next(getattr(module, one.name) for module in MODULES if hasattr(module, one.name))
        for one in ENDPOINTS
    }


def application(console: Console) -> web.Application:
    """All of it, for one console."""
    app = web.Application(client_max_size=MAX_BODY, middlewares=[answering])
    by_name = handlers()
    for endpoint in ENDPOINTS:
        # The id of a CDR has a slash; it is accepted as it is where nothing follows.
        route = endpoint.route.replace("{id}", "{id:.+}") if endpoint.reach is Reach.CDR else endpoint.route
        app.router.add_route(endpoint.method, route, _dispatched(console, endpoint, by_name))
    if console.files is not None:
        app.add_routes(console.files.routes())
    shell = Shell()
    app.add_routes(receipts.routes(console, shell))
    app.add_routes(login.routes(console, shell))

    async def guarded(request: web.Request, response: web.StreamResponse) -> None:
        del request
        response.headers.update(SECURITY)
        if console.url.startswith("https:"):
            response.headers["Strict-Transport-Security"] = HSTS

    app.on_response_prepare.append(guarded)
    return app


@web.middleware
async def answering(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Whatever goes wrong is answered as a problem document."""
    try:
        return await handler(request)
    except Problem as problem:
        return problem.response()
    except ImpossibleError as error:
        return Problem(Kind.CONFLICT, str(error)).response()
    except web.HTTPException as error:
        response = problems.of_http(error).response()
        if "Allow" in error.headers:
            response.headers["Allow"] = error.headers["Allow"]  # RFC 9110 15.5.6
        return response
    except StoreError as error:
        log.warning("console.unavailable", error=str(error))
        return Problem(Kind.UNAVAILABLE, "the database cannot be read").response()
    except Exception:
        log.exception("console.failed", path=request.path, method=request.method)
        return Problem(Kind.INTERNAL).response()


def _dispatched(
    console: Console, endpoint: Endpoint, by_name: Mapping[str, Handler]
) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    handler = by_name[endpoint.name]

    async def dispatch(request: web.Request) -> web.StreamResponse:
        principal = NOBODY
        if endpoint.role is not None:
            principal = await console.door.who(request)
            if principal.role < endpoint.role:
                raise Problem(Kind.FORBIDDEN, f"needs the role {endpoint.role.label}")
        id_ = request.match_info.get("id", "")
        if endpoint.role is not None and (not principal.everywhere or endpoint.reach in _FOUND):
            await _within_sites(console, endpoint, principal, id_)
        query = _query(endpoint, request)
        body = await _body(endpoint, request)
        return await handler(Ask(console, request, principal, id_, query, body))

    return dispatch


async def _within_sites(console: Console, endpoint: Endpoint, principal: Principal, id_: str) -> None:
    """What ``id_`` names is there, and at a site of a principal with a list of sites. Raises Problem."""
    match endpoint.reach:
        case Reach.OPEN | Reach.LIST | Reach.BODY:
            return
        case Reach.WHOLE:
            raise Problem(Kind.FORBIDDEN, "this is not of one site")
        case Reach.SITE:
            site: str | None = id_
        case Reach.CHARGER | Reach.NEWCOMER:
            site = await console.rows.site_of_charger(id_)
        case Reach.SESSION:
            site = await console.rows.site_of_session(id_)
        case Reach.CDR:
            site = await console.rows.site_of_cdr(id_)
        case Reach.ALERT:
            site = await console.rows.site_of_alert(id_)
        case Reach.SCOPE:
            if await scopes.sees(console.rows, principal, id_):
                return
            raise Problem(Kind.NOT_FOUND)
        case never:
            assert_never(never)
    if not principal.sees(site) or (site is None and endpoint.reach is not Reach.NEWCOMER):
        raise Problem(Kind.NOT_FOUND)


def _query(endpoint: Endpoint, request: web.Request) -> Query | None:
    given = request.query
    if endpoint.query is None:
        if given:
            raise Problem(Kind.INVALID, faults=[problems.Fault(next(iter(given)), "is not known here")])
        return None
    try:
        return endpoint.query.model_validate(dict(given))
    except ValidationError as error:
        raise problems.invalid(error, "") from None


async def _body(endpoint: Endpoint, request: web.Request) -> BaseModel | None:
    if endpoint.body is None:
        return None
    try:
        value = orjson.loads(await request.read())
    except orjson.JSONDecodeError as error:
        raise Problem(Kind.MALFORMED, f"the body is not JSON: {error}") from None
    try:
        return endpoint.body.model_validate(value)
    except ValidationError as error:
        raise problems.invalid(error) from None
