"""Handlers that store decisions, with who and why. They take effect at the ledger's next tick."""

from typing import Any

from aiohttp import web

from voltgate.csms.console import bodies, scopes
from voltgate.csms.console.bodies import DecisionBody
from voltgate.csms.console.console import Ask, answered
from voltgate.csms.console.problems import Fault, Kind, Problem
from voltgate.csms.ledger import times
from voltgate.csms.ledger.decisions import Kind as Decides
from voltgate.csms.tariffs import form
from voltgate.csms.tariffs.conditions import TariffFault

_OF_THE_DECISION = set(DecisionBody.model_fields)


async def put_charger(ask: Ask) -> web.Response:
    """A charger's name, site and connectors."""
    body = ask.said(bodies.ChargerBody)
    if body.site is None and not ask.principal.everywhere:
        raise Problem(Kind.FORBIDDEN, "a charger without a site belongs to nobody with a list of sites")
    if body.site is not None and not ask.principal.sees(body.site):
        raise Problem(Kind.FORBIDDEN, "the site is not one of yours")
    return await decide(ask, Decides.CHARGER, body)


async def put_site(ask: Ask) -> web.Response:
    """A site."""
    return await decide(ask, Decides.SITE, ask.said(bodies.SiteBody))


async def put_tariff(ask: Ask) -> web.Response:
    """A tariff, checked as the ledger reads it."""
    body = ask.said(bodies.TariffBody)
    given = document_of(body)
    try:
        form.read(ask.id, given)
    except TariffFault as fault:
        raise Problem(Kind.INVALID, faults=[Fault(fault.pointer, fault.reason)]) from None
    return await decide(ask, Decides.TARIFF, body, given)


async def put_assignment(ask: Ask) -> web.Response:
    """The tariff of a scope."""
    scopes.parsed(ask.id, "id")
    return await decide(ask, Decides.ASSIGNMENT, ask.said(bodies.AssignmentBody))


async def correct(ask: Ask) -> web.Response:
    """The energy of a session as a person has found it."""
    return await decide(ask, Decides.CORRECTION, ask.said(bodies.CorrectBody))


async def waive(ask: Ask) -> web.Response:
    """A session that is not to be paid."""
    return await decide(ask, Decides.WAIVER, ask.said(bodies.WaiveBody))


async def put_payment(ask: Ask) -> web.Response:
    """The state of the payment of a CDR."""
    return await decide(ask, Decides.PAYMENT, ask.said(bodies.PaymentBody))


def document_of(body: DecisionBody) -> dict[str, Any]:
    """What was given, but for what the decision says of itself."""
    return body.model_dump(mode="json", by_alias=True, exclude_unset=True, exclude=_OF_THE_DECISION)


async def delete_assignment(ask: Ask) -> web.Response:
    """The scope has no tariff of its own any more."""
    return await decide(ask, Decides.ASSIGNMENT, DecisionBody(), {})


async def decide(
    ask: Ask, kind: Decides, body: DecisionBody, document: dict[str, Any] | None = None
) -> web.Response:
    """Store a decision on ``ask.id``. ``document``: else what the body has beside the decision's own."""
    revision = await ask.console.writer.decide(
        kind,
        ask.id,
        document_of(body) if document is None else document,
        by=ask.by,
        at=ask.console.now(),
        why=body.why,
        valid_from=body.valid_from,
        expected=ask.expected,
    )
    valid_from = None if body.valid_from is None else times.text(body.valid_from)
    return answered(
        {"kind": kind, "id": ask.id, "revision": revision, "valid_from": valid_from}, etag=f'"{revision}"'
    )
