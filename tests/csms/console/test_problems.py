"""Errors are problem documents (RFC 9457), from a closed list that the docs have."""

import re
from pathlib import Path

import pytest
from aiohttp import web
from pydantic import BaseModel, ValidationError

from csms.console.desk import Books, Desk
from voltgate.csms.console.problems import Fault, Kind, Problem, invalid, of_http

PAGE = Path(__file__).parents[3] / "docs" / "csms" / "console.md"


def test_the_list_is_documented() -> None:
    rows = re.findall(r"^\| `([\w-]+)` \| (\d+) \|", PAGE.read_text(), re.MULTILINE)
    assert rows == [(kind.value.name, str(kind.value.status)) for kind in Kind]


def test_a_document() -> None:
    problem = Problem(Kind.INVALID, "why", faults=[Fault("/a~1b", "is too long")], retry_after=9)
    response = problem.response()
    assert response.content_type == "application/problem+json"
    assert (response.status, response.headers["Retry-After"]) == (422, "9")
    assert isinstance(response.body, bytes)
    assert response.body == (
        b'{"type":"urn:voltgate:problem:invalid","title":"A value is not valid","status":422,"detail":"why",'
        b'"errors":[{"pointer":"/a~1b","reason":"is too long"}]}'
    )


def test_faults_of_a_body_name_the_place_and_not_the_value() -> None:
    class Body(BaseModel):
        rows: dict[str, int]

    with pytest.raises(ValidationError) as caught:
        Body.model_validate({"rows": {"a/b~c": "secret"}})
    (fault,) = invalid(caught.value).faults
    assert fault.pointer == "/rows/a~1b~0c"
    assert "secret" not in fault.reason


def test_what_aiohttp_refuses() -> None:
    assert of_http(web.HTTPNotFound()).kind is Kind.NOT_FOUND
    assert of_http(web.HTTPRequestEntityTooLarge(1, 2)).kind is Kind.TOO_LARGE
    assert of_http(web.HTTPBadRequest()).kind is Kind.MALFORMED


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "kind"),
    [
        ("GET", "/nothing", None, 404, "not-found"),
        ("DELETE", "/chargers", None, 405, "method-not-allowed"),
        ("GET", "/chargers/none", None, 404, "not-found"),
        ("GET", "/chargers?limit=0", None, 422, "invalid"),
        ("GET", "/chargers?page=2", None, 422, "invalid"),
        ("GET", "/sessions?after=x", None, 422, "invalid"),
        ("GET", "/sessions?from=2026-01-01T00:00:00", None, 422, "invalid"),
        ("GET", "/sessions?from=2026", None, 422, "invalid"),
        ("GET", "/sessions?from=0001-01-01T00:00:00%2B14:00", None, 422, "invalid"),
        ("PUT", "/sites/a", {"name": "A", "valid_from": 1_780_000_000}, 422, "invalid"),
        ("POST", "/chargers/none/do", {"do": "reset"}, 404, "not-found"),
        ("POST", "/sessions/none/correct", {"energy_wh": 1, "why": "x"}, 404, "not-found"),
        ("POST", "/sessions/none/waive", {"why": "x"}, 404, "not-found"),
        ("PUT", "/payments/none", {"state": "paid"}, 404, "not-found"),
        ("POST", "/chargers/CP1/do", {"do": "explode"}, 422, "invalid"),
        ("PUT", "/sites/a", {"name": "A", "colour": "red"}, 422, "invalid"),
        ("PUT", "/sites/a", {"name": "A", "timezone": "Mars/Base"}, 422, "invalid"),
        ("PUT", "/tariffs/t", {"currency": "EUR", "energy_kwh": "-1"}, 422, "invalid"),
        ("PUT", "/tariffs/t", {"ocpp": {"tariffId": "t"}}, 422, "invalid"),
    ],
)
async def test_refusals(
    method: str, path: str, body: object, status: int, kind: str, console: Desk, books: Books
) -> None:
    books.charger()
    answer = await console.ask(method, path, body)
    assert (answer.status, answer.json["type"]) == (status, f"urn:voltgate:problem:{kind}"), answer.text
    assert answer.headers.get("Allow") == ("GET" if status == 405 else None)


async def test_a_body_that_is_no_json_or_too_large(console: Desk) -> None:
    headers = {"Authorization": f"Bearer {await console.key()}"}
    where = f"{console.url}/api/v1/sites/a"
    async with console.http.put(where, data=b'{"name":', headers=headers) as response:
        assert response.status == 400
    async with console.http.put(where, data=b" " * 300_000, headers=headers) as response:
        assert response.status == 413
