"""Chargers and sessions from their rows: the open session of a connector, pages, tokens."""

import pytest

from csms.console.desk import Books, Desk
from voltgate.csms.console import chargers
from voltgate.csms.console.roles import RoleName
from voltgate.csms.console.rows import DRAWN
from voltgate.csms.console.tokens import masked

BOTH = True


async def test_a_charger_with_what_its_connectors_do(console: Desk, books: Books) -> None:
    books.charger("CP1", vendor="V", model="M", firmware="1", link="down")
    books.connector(evse=1, status="Charging", since="2026-05-01T09:00:00.000Z")
    books.connector(evse=2, status="Faulted", error="GroundFailure")
    books.session("s1", evse=1, power_w=7400, soc_to=55, mwh=1_500_500)
    books.session("s2", evse=3, connector=0)
    books.session("s0", evse=2, state="settled")
    books.put(
        "decision", kind="charger", id="CP1", seq=1, valid_from="", body='{"name":"Left"}', by="", at="",
        why="", tick="",
    )  # fmt: skip
    charger = await console.get("/chargers/CP1")
    assert [charger[name] for name in ("online", "vendor", "site", "name", "version")] == [
        False, "V", "north", "Left", "v16",
    ]  # fmt: skip
    one, two, three = charger["connectors"]
    assert one == {
        "evse": 1, "connector": 1, "status": "Charging", "error": None, "power_w": 7400, "energy_wh": 1500.5,
        "soc": 55, "session": "s1", "since": "2026-05-01T09:00:00.000Z",
    }  # fmt: skip
    assert (two["status"], two["error"], two["session"]) == ("Faulted", "GroundFailure", None)
    assert (three["evse"], three["status"], three["session"]) == (3, None, "s2")


async def test_a_session_is_at_its_own_connector_of_an_evse(console: Desk, books: Books) -> None:
    """Or at the first one, where the charger names the EVSE alone."""
    books.charger("CP1")
    for connector in (1, 2):
        books.connector(evse=1, connector=connector)
        books.connector(evse=2, connector=connector)
    books.session("s1", evse=1, connector=2)
    books.session("s2", evse=2, connector=0)
    connectors = (await console.get("/chargers/CP1"))["connectors"]
    assert [one["session"] for one in connectors] == [None, "s1", "s2", None]


async def test_pages_of_chargers_are_in_the_order_of_ids(
    console: Desk, books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chargers, "FEW", 8)
    for number in range(25):
        books.charger(f"CP/{number:02}", "north" if number % 2 else "south")
        books.connector(f"CP/{number:02}")
    found: list[str] = []
    query: str | None = ""
    while query is not None:
        page = await console.get(f"/chargers?limit=10{query}")
        found += [one["id"] for one in page["items"]]
        query = page["next"] and f"&after={page['next']}"
    assert found == [f"CP/{number:02}" for number in range(25)]
    north = await console.get("/chargers?site=north&limit=1000")
    assert len(north["items"]) == 12
    assert all(len(one["connectors"]) == 1 for one in north["items"])
    assert (await console.get("/chargers?site=north", role="viewer", sites=["south"]))["items"] == []


async def test_sessions_by_charger_state_and_time(console: Desk, books: Books) -> None:
    bill = {"cost": 1_230_000, "currency": "EUR", "flags": "no_energy"}
    for number in range(4):
        state, started = "settled" if number else "review", f"2026-05-0{number + 1}T00:00:00.000Z"
        books.session(f"s{number}", f"CP{number % 2}", started=started, state=state, **bill)
    books.session("s4", started=None, first_heard="2026-05-02T12:00:00.000Z")

    async def ids(query: str) -> list[str]:
        return [one["id"] for one in (await console.get(f"/sessions?{query}"))["items"]]

    assert await ids("") == ["s3", "s2", "s4", "s1", "s0"]
    assert await ids("charger=CP1") == ["s3", "s4", "s1"]
    assert await ids("state=review") == ["s0"]
    assert await ids("from=2026-05-02T00:00:00Z&to=2026-05-03T00:00:00Z") == ["s4", "s1"]
    session = await console.get("/sessions/s1")
    assert (session["cost"], session["energy_wh"], session["flags"]) == ("1.23", 1500, ["no_energy"])


@pytest.mark.parametrize(
    ("token", "seen"), [("04A2B3C4", "••••B3C4"), ("ABCDEF", "••••DEF"), ("AB", "••••B"), ("A", "••••")]
)
async def test_a_token_is_shown_to_operators_and_masked_for_viewers(
    token: str, seen: str, console: Desk, books: Books
) -> None:
    pseudonym = console.console.people.pseudonym(token)
    books.session(token=pseudonym)
    assert (await console.get("/sessions/s1"))["token"] == pseudonym, "nobody decided on it"
    await console.ask("PUT", f"/tokens/{token}", {"status": "Accepted"})
    assert masked(token) == seen
    roles: dict[RoleName, str] = {"viewer": seen, "operator": token}
    for role, shown in roles.items():
        assert (await console.get("/sessions/s1", role=role))["token"] == shown
        assert (await console.get("/sessions", role=role))["items"][0]["token"] == shown
        assert [one["token"] for one in (await console.get("/tokens", role=role))["items"]] == [shown]
        export = await console.ask("GET", "/export/sessions.csv", role=role)
        assert (token in export.text) == (role == "operator" or token in seen)
    assert (await console.ask("DELETE", f"/tokens/{token.lower()}")).status == 204
    assert (await console.get("/sessions/s1"))["token"] == pseudonym


async def test_an_explanation_has_lines_and_facts(console: Desk, books: Books) -> None:
    books.charger()
    books.session(currency="EUR", cost=590_000)
    for revision in (1, 2):
        books.put(
            "line", session="s1", revision=revision, number=1, kind="energy", begins="b", ends="e",
            quantity="1.5", unit="kWh", price="0.39", amount=590_000 * revision, tax=100_000,
        )  # fmt: skip
    books.put(
        "said", stream="OCPP_TX", seq=7, session="s1", id="f", key="k", charger="CP1", at="a",
        connection="c", version="ocpp1.6", action="StartTransaction",
        subject="ocpp.tx.v16.StartTransaction.CP1", used_for="start",
    )  # fmt: skip
    found = await console.get("/sessions/s1/explain")
    assert found["session"]["id"] == "s1"
    assert found["lines"] == [
        {
            "kind": "energy", "from": "b", "to": "e", "quantity": "1.5", "unit": "kWh", "price": "0.39",
            "amount": "1.18", "tax": "0.10",
        }
    ]  # fmt: skip
    assert found["facts"] == [
        {"stream": "OCPP_TX", "seq": 7, "subject": "ocpp.tx.v16.StartTransaction.CP1", "used_for": "start"}
    ]


async def test_a_curve_has_its_samples_in_order_and_is_thinned(console: Desk, books: Books) -> None:
    books.charger()
    books.session()
    for number in (2, 1):
        at = f"2026-05-01T10:00:0{number}.000Z"
        books.put("sample", session="s1", at=at, wh=number, w=7400, soc=None)
    assert (await console.get("/sessions/s1/curve"))["items"] == [
        {"at": f"2026-05-01T10:00:0{number}.000Z", "power_w": 7400, "register_wh": number, "soc": None}
        for number in (1, 2)
    ]
    for number in range(DRAWN):
        books.put("sample", session="s1", at=f"2026-05-02T10:00:00.{number:03}Z", wh=number)
    drawn = (await console.get("/sessions/s1/curve"))["items"]
    assert len(drawn) == DRAWN // 2 + 1
    assert (await console.ask("GET", "/sessions/none/curve")).status == 404


async def test_cdrs_by_charger_and_session(console: Desk, books: Books) -> None:
    books.cdr("c1")
    books.cdr("c2", session="s2", charger="CP2", site="south", kind="credit", cost=-1_230_000)
    assert [one["id"] for one in (await console.get("/cdrs"))["items"]] == ["c2", "c1"]
    (credit,) = (await console.get("/cdrs?session=s2&charger=CP2"))["items"]
    assert (credit["kind"], credit["cost"], credit["payment"]) == ("credit", "-1.23", "due")
    assert [one["id"] for one in (await console.get("/cdrs", role="viewer", sites=["north"]))["items"]] == [
        "c1"
    ]
