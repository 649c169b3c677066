"""Decisions reach OPS_SET as the ledger reads them, with who and why; an old revision is refused."""

from typing import Any

import pytest

from csms.console.desk import Books, Desk
from voltgate.csms.ledger import decisions, times
from voltgate.csms.ledger.decisions import Decision
from voltgate.csms.ledger.facts import Message

SITE = {"name": "N", "tax_percent": "21"}
CHARGER = {"site": "s", "connectors": [{"evse": 1, "max_power_w": 22000}]}
TARIFF = {"currency": "EUR", "energy_kwh": "0.39", "idle_after_minutes": 15, "idle_minute": "0.1"}


async def stored(console: Desk, kind: str, id_: str) -> Decision:
    """The last decision, as the ledger decodes it."""
    subject = decisions.subject("ops", kind, id_)
    message = await console.client.jsm().get_last_msg("OPS_SET", subject)
    made = Message("OPS_SET", message.seq or 0, subject, {}, message.data or b"", 0.0)
    return decisions.decoded(made, first=True)


@pytest.mark.parametrize(
    ("method", "path", "body", "kind", "id_", "document"),
    [
        ("PUT", "/sites/n%2F1", SITE, "site", "n/1", SITE),
        ("PUT", "/chargers/CP1", CHARGER, "charger", "CP1", CHARGER),
        ("PUT", "/tariffs/t", TARIFF, "tariff", "t", TARIFF),
        ("PUT", "/assignments/site:s", {"tariff": "t"}, "assignment", "site:s", {"tariff": "t"}),
        ("DELETE", "/assignments/site:s", None, "assignment", "site:s", {}),
        ("POST", "/sessions/s1/correct", {"energy_wh": 9, "why": "x"}, "correction", "s1", {"energy_wh": 9}),
        ("POST", "/sessions/s1/waive", {"why": "good will"}, "waiver", "s1", {}),
        ("PUT", "/payments/c1", {"state": "paid"}, "payment", "c1", {"state": "paid"}),
    ],
)  # fmt: skip
async def test_a_decision_is_the_whole_document(
    method: str, path: str, body: Any, kind: str, id_: str, document: Any, console: Desk, books: Books
) -> None:
    books.charger()
    books.session()
    books.cdr()
    answer = await console.ask(method, path, body, role="manager")
    assert answer.status == 200, answer.text
    decision = await stored(console, kind, id_)
    assert decision.body == document
    assert decision.by.startswith("key:manager")
    assert decision.why == (body or {}).get("why", "")
    assert answer.json == {"kind": kind, "id": id_, "revision": decision.seq, "valid_from": None}
    assert answer.headers["ETag"] == f'"{decision.seq}"'


async def test_valid_from_and_why(console: Desk) -> None:
    body = {"name": "A", "valid_from": "2026-06-01T02:00:00+02:00", "why": " moved "}
    answer = await console.ask("PUT", "/sites/a", body)
    assert answer.json["valid_from"] == "2026-06-01T00:00:00.000Z"
    decision = await stored(console, "site", "a")
    assert (decision.valid_from, decision.why) == (times.parsed("2026-06-01T00:00:00Z"), "moved")
    assert decision.body == {"name": "A"}


async def test_of_two_who_change_one_thing_one_is_refused(console: Desk) -> None:
    first = await console.ask("PUT", "/sites/a", {"name": "A"})
    match = {"If-Match": first.headers["ETag"]}
    assert (await console.ask("PUT", "/sites/a", {"name": "B"}, headers=match)).status == 200
    refused = await console.ask("PUT", "/sites/a", {"name": "C"}, headers=match)
    assert (refused.status, refused.json["type"]) == (412, "urn:voltgate:problem:changed")
    assert (await stored(console, "site", "a")).body == {"name": "B"}
    assert (await console.ask("PUT", "/sites/a", {"name": "C"}, headers={"If-Match": "x"})).status == 422


@pytest.mark.parametrize(
    ("path", "body", "pointer"),
    [
        ("/tariffs/t", {"energy_kwh": "0.39"}, "/currency"),
        ("/tariffs/t", {"currency": "EUR", "energy_kwh": 1, "ocpp": {}}, ""),
        (
            "/tariffs/t",
            {"currency": "EUR", "night": {"from": "25:00", "to": "06:00", "energy_kwh": "1"}},
            "/night/from",
        ),
        ("/assignments/site", {"tariff": "t"}, "id"),
        ("/assignments/planet:x", {"tariff": "t"}, "id"),
        ("/chargers/CP1", {"connectors": [{"evse": 1}]}, "/connectors/0/max_power_w"),
        ("/tokens/T", {"status": "Maybe"}, "/status"),
    ],
)
async def test_what_is_not_valid(path: str, body: Any, pointer: str, console: Desk) -> None:
    answer = await console.ask("PUT", path, body)
    assert (answer.status, answer.json["errors"][0]["pointer"]) == (422, pointer), answer.text


async def test_a_manager_of_a_site_moves_chargers_between_its_own_sites_only(
    console: Desk, books: Books
) -> None:
    books.charger("CP1", "north")
    books.charger("CP2", "south")

    async def put(charger: str, **body: Any) -> int:
        where = f"/chargers/{charger}"
        return (await console.ask("PUT", where, body, role="manager", sites=["north", "west"])).status

    assert await put("CP1", site="west") == 200
    assert await put("CP1", site="south") == 403
    assert await put("CP1") == 403, "it would belong to no site"
    assert await put("CP2", site="north") == 404
    assert await put("CP3", site="north") == 404, "nobody knows yet whose it is"


async def test_the_group_of_a_token_is_decided_under_its_pseudonym(console: Desk) -> None:
    for group, seq in (("fleet", 1), ("fleet", 1), (None, 2)):
        await console.ask("PUT", "/tokens/04A2b3C4", {"status": "Accepted", "group": group})
        pseudonym = console.console.people.pseudonym("04a2B3c4")
        decision = await stored(console, "group", pseudonym)
        assert (decision.body, decision.seq) == ({"group": group}, seq)
    assert "04" not in str(decision.body)


async def test_lists_have_the_last_decision_of_each_id(console: Desk, books: Books) -> None:
    for seq, (id_, body) in enumerate(
        [("a", '{"name":"A"}'), ("b", '{"name":"B"}'), ("a", '{"name":"A2"}')], 1
    ):
        books.put(
            "decision", kind="site", id=id_, seq=seq, valid_from="1970-01-01T00:00:00.000Z", body=body,
            by="key:x", at=f"2026-05-01T10:00:0{seq}.000Z", why="w", tick="t",
        )  # fmt: skip
    first = await console.get("/sites?limit=1")
    assert [(one["id"], one["name"], one["revision"]) for one in first["items"]] == [("a", "A2", 3)]
    second = await console.get(f"/sites?limit=1&after={first['next']}")
    assert ([one["name"] for one in second["items"]], second["next"]) == (["B"], None)
    mine = await console.get("/sites", role="viewer", sites=["b"])
    assert [one["id"] for one in mine["items"]] == ["b"]
    audit = await console.get("/audit?kind=site&limit=2")
    assert [one["revision"] for one in audit["items"]] == [3, 2]
    rest = await console.get(f"/audit?kind=site&limit=2&after={audit['next']}")
    assert [(one["revision"], one["by"], one["why"]) for one in rest["items"]] == [(1, "key:x", "w")]
    assert (await console.get("/audit?id=b"))["items"][0]["body"] == {"name": "B"}
