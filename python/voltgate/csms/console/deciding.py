"""Handlers that store decisions, with who and why. They take effect at the ledger's next tick."""

from typing import Any

from aiohttp import web

from voltgate.csms.console import models
from voltgate.csms.console.console import Ask, answered
from voltgate.csms.console.models import DecisionBody
from voltgate.csms.console.problems import Fault, Kind, Problem
from voltgate.csms.ledger import times
from voltgate.csms.ledger.decisions import Kind as Decides
from voltgate.csms.tariffs import form
from voltgate.csms.tariffs.conditions import TariffFault

_OF_THE_DECISION = set(DecisionBody.model_fields)


async def put_charger(ask: Ask) -> web.Response:
    """A charger's name, site and connectors."""
    body = ask.said(models.ChargerBody)
    if body.site is None and not ask.principal.everywhere:
        raise Problem(Kind.FORBIDDEN, "a charger without a site belongs to nobody with a list of sites")
    if body.site is not None and not ask.principal.sees(body.site):
        raise Problem(Kind.FORBIDDEN, "the site is not one of yours")
    return await _decide(ask, Decides.CHARGER, body)


async def put_site(ask: Ask) -> web.Response:
    """A site."""
    return await _decide(ask, Decides.SITE, ask.said(models.SiteBody))


async def put_tariff(ask: Ask) -> web.Response:
    """A tariff, checked as the ledger reads it."""
    body = ask.said(models.TariffBody)
    given = _document(body)
    try:
        form.read(ask.id, given)
    except TariffFault as fault:
        raise Problem(Kind.INVALID, faults=[Fault(fault.pointer, fault.reason)]) from None
    return await _decide(ask, Decides.TARIFF, body, given)


async def put_assignment(ask: Ask) -> web.Response:
    """The tariff of a scope."""
    return await _decide(ask, Decides.ASSIGNMENT, ask.said(models.AssignmentBody))


async def correct(ask: Ask) -> web.Response:
    """The energy of a session as a person has found it."""
    return await _decide(ask, Decides.CORRECTION, ask.said(models.CorrectBody))


async def waive(ask: Ask) -> web.Response:
    """A session that is not to be paid."""
    return await _decide(ask, Decides.WAIVER, ask.said(models.WaiveBody))


async def put_payment(ask: Ask) -> web.Response:
    """The state of the payment of a CDR."""
    return await _decide(ask, Decides.PAYMENT, ask.said(models.PaymentBody))


def _document(body: DecisionBody) -> dict[str, Any]:
    """What was given, but for what the decision says of itself."""
    return body.model_dump(mode="json", by_alias=True, exclude_unset=True, exclude=_OF_THE_DECISION)


async def _decide(
    ask: Ask, kind: Decides, body: DecisionBody, document: dict[str, Any] | None = None
) -> web.Response:
    revision = await ask.console.writer.decide(
        kind,
        ask.id,
        _document(body) if document is None else document,
        by=f"{ask.principal.by}:{ask.principal.name}",
        at=ask.console.now(),
        why=body.why,
        valid_from=body.valid_from,
        expected=ask.expected,
    )
    valid_from = None if body.valid_from is None else times.text(body.valid_from)
    return answered(
        {"kind": kind, "id": ask.id, "revision": revision, "valid_from": valid_from}, etag=f'"{revision}"'
    )
