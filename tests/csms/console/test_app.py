"""Every endpoint for every role and site; what every answer has in common."""

from typing import Any, get_args

import pytest
from pydantic import BaseModel

from csms.console.desk import Books, Desk
from voltgate.csms.console.endpoints import ENDPOINTS, Endpoint
from voltgate.csms.console.roles import ROLES, Reach, RoleName

BODIES: dict[str, Any] = {
    "put_charger": {"name": "Left", "site": "north"},
    "do": {"do": "unlock"},
    "correct": {"energy_wh": 5, "why": "meter read by hand"},
    "waive": {"why": "test"},
    "put_payment": {"state": "paid"},
    "put_tariff": {"currency": "EUR", "energy_kwh": "0.39"},
    "preview": {"tariff": {"currency": "EUR", "energy_kwh": "0.39"}},
    "put_assignment": {"tariff": "t1"},
    "put_site": {"name": "North"},
    "put_token": {"status": "Blocked"},
    "put_person": {"role": "viewer"},
    "post_key": {"role": "viewer"},
    "mute": {"until": "2030-01-01T00:00:00Z"},
    "put_rule": {"kind": "offline", "scope": "site:north"},
    "put_channel": {"kind": "mail", "to": ["a@example.com"]},
    "put_configuration": {"changes": [{"variable": "V", "value": "1"}]},
    "put_limit": {"limit": 1000},
    "get_schedule": {},
    "update_firmware": {"location": "ftp://h/f"},
    "fetch_log": {},
    "put_site_limit": {"limit_w": 1000},
    "post_bulk": {"chargers": ["CP1"], "do": {"do": "unlock"}},
    "put_exclusion": {"reason": "vandalism", "scope": "site:north", "from": "2026-05-01T00:00:00Z"},
}
QUERIES = {"cdr_ocpi": "?party=DE*VGT", "tariff_ocpi": "?party=DE*VGT", "get_file": "?name=x"}
# Commands that come as far as a charger that was never connected, and files where there is no place for them.
IN_VAIN = {
    "read_configuration", "put_configuration", "put_limit", "delete_limit", "get_schedule", "update_firmware",
    "fetch_log", "get_file", "put_image", "delete_image",
}  # fmt: skip
# Answered from what a gateway has stored, or from a job: read back in their own tests.
FROM_STREAMS = {
    "get_timeline", "get_configuration", "get_transfers", "get_images", "get_bulk", "get_bulks",
    "get_violations", "get_talkers", "unknown_tokens",
}  # fmt: skip
EXCLUSION = '{"reason":"vandalism","scope":"site:north","from":"2026-05-01T00:00:00Z"}'
# What {id} names, at site north.
IDS = {
    Reach.CHARGER: "CP1", Reach.NEWCOMER: "CP1", Reach.SITE: "north", Reach.SESSION: "s1", Reach.CDR: "c1",
    Reach.ALERT: "faulted%2FCP1", Reach.SCOPE: "charger:CP1",
}  # fmt: skip
SITES = {"every": None, "its own": ["north"], "another": ["south"], "none": []}


def expected(endpoint: Endpoint, role: RoleName, sites: list[str] | None) -> set[int]:
    """Statuses by the table alone."""
    if endpoint.role is None:
        return {200}
    if ROLES[role] < endpoint.role:
        return {403}
    if sites is not None and endpoint.reach is Reach.WHOLE:
        return {403}
    if sites is not None and endpoint.reach in IDS and sites != ["north"]:
        return {404}
    if sites is not None and endpoint.name == "post_bulk" and sites != ["north"]:
        return {422}
    if sites is not None and endpoint.reach is Reach.BODY and sites != ["north"]:
        return {403} if endpoint.method == "PUT" else {404}
    if sites == ["north"] and endpoint.name in ("delete_rule", "delete_exclusion"):
        return {404}  # what was put is not folded yet: nobody can say whose it is
    if endpoint.name == "do":
        return {409}  # an unlock without evse: it came as far as the intent
    if endpoint.name in IN_VAIN:
        return {409}
    if endpoint.name == "get_bulk":
        return {404}  # its name is a hash
    if endpoint.name == "try_channel":
        return {404}  # was removed by the row before
    if endpoint.name == "link_person":
        return {404}  # was removed by the row before
    if endpoint.name == "tariff_ocpi":
        return {404}  # nobody has decided on it
    return {endpoint.status}


@pytest.mark.parametrize("sites", SITES.values(), ids=SITES)
@pytest.mark.parametrize("role", get_args(RoleName))
async def test_every_endpoint_by_role_and_site(
    role: RoleName, sites: list[str] | None, console: Desk, books: Books
) -> None:
    books.charger(version="")
    books.session()
    books.cdr()
    books.alert()
    for endpoint in ENDPOINTS:
        if endpoint.name == "live" and endpoint.role is not None:
            continue  # does not end: test_live
        path = endpoint.path.replace("{id}", IDS.get(endpoint.reach, f"x-{role}"))
        path += QUERIES.get(endpoint.name, "")
        answer = await console.ask(endpoint.method, path, BODIES.get(endpoint.name), role=role, sites=sites)
        assert answer.status in expected(endpoint, role, sites), (endpoint.name, answer.text)
        if answer.status >= 400:
            assert answer.headers["Content-Type"].startswith("application/problem+json")
            assert answer.json["status"] == answer.status


async def test_without_a_key_there_is_health_and_nothing_else(console: Desk, books: Books) -> None:
    books.position(3)
    for endpoint in ENDPOINTS:
        path = endpoint.path.replace("{id}", "CP1")
        answer = await console.ask(endpoint.method, path, BODIES.get(endpoint.name), role=None)
        assert answer.status == (200 if endpoint.role is None else 401 if answer.status == 401 else 429)
    health = await console.ask("GET", "/health", role=None)
    assert health.json == {"status": "ok", "lag_seconds": 0.0, "position": {"OCPP_TX": 3}}


async def test_every_answer_is_what_its_model_says(console: Desk, books: Books) -> None:
    fill(books)
    await console.ask("PUT", "/tokens/04A2B3C4", {"status": "Accepted", "group": "g"})
    await console.ask("PUT", "/people/ann", {"role": "operator", "sites": ["north"]})
    await console.ask("PUT", "/channels/hook", {"kind": "webhook", "url": "https://a.example", "secret": "s"})
    read = 0
    for endpoint in ENDPOINTS:
        if endpoint.name in FROM_STREAMS:
            continue
        if endpoint.method == "GET" and endpoint.answer is not None:
            path = endpoint.path.replace("{id}", IDS.get(endpoint.reach, "t1"))
            path += QUERIES.get(endpoint.name, "")
            document = await console.get(path)
            model: type[BaseModel] = endpoint.answer
            model.model_validate(document, strict=True)
            assert document.get("items", [None]) != [], endpoint.name
            read += 1
    assert read > 15


def fill(books: Books) -> None:
    """Something of everything."""
    books.charger(vendor="<script>alert(1)</script>")
    books.connector()
    books.session()
    books.put("sample", session="s1", at="2026-05-01T10:00:01.000Z", w=7400, wh=12)
    books.put(
        "line", session="s1", revision=1, number=1, kind="energy", begins="2026-05-01T10:00:00.000Z",
        ends="2026-05-01T11:00:00.000Z", quantity="1.5", unit="kWh", price="0.39", amount=590_000, tax=94_000,
    )  # fmt: skip
    books.put(
        "said", stream="OCPP_TX", seq=7, session="s1", id="f", key="k", charger="CP1",
        at="2026-05-01T10:00:00.000Z", connection="c", version="ocpp1.6", action="StartTransaction",
        subject="ocpp.tx.v16.StartTransaction.CP1",
        used_for="start",
    )  # fmt: skip
    books.cdr()
    books.alert()
    books.put("exclusion", id="e", scope="site:north", body=EXCLUSION)
    books.uptime()
    for number, (kind, id_) in enumerate(
        {"site": "north", "tariff": "t1", "assignment": "default", "payment": "c1"}.items(), 1
    ):
        books.put(
            "decision", kind=kind, id=id_, seq=number, valid_from="1970-01-01T00:00:00.000Z",
            body='{"currency":"EUR","energy_kwh":"0.39"}',
            by="key:x", at="2026-05-01T10:00:00.000Z", why="", tick="2026-05-01T10:01:00.000Z",
        )  # fmt: skip
