"""The timeline of a charger that comes, charges, errs and goes, through a real gateway."""

import asyncio
from typing import Any

import orjson
import pytest

from csms.console.desk import Books, desk
from csms.console.stations import backend, station
from e2e.house import Gateway
from e2e.strangers import dial
from jetstream import NatsServer
from scripted_csms import wait_until
from voltgate.csms.console.operations import Timeline
from voltgate.csms.console.timeline import moment
from voltgate.csms.ledger.facts import Message


async def test_what_a_charger_said_and_was_sent_is_shown_newest_first(
    server: NatsServer, house: Gateway, books: Books
) -> None:
    identity = "time 1"
    books.charger(identity, version="v16")
    async with desk(server, books) as console, backend(server):
        async with station(house, "v16", identity) as charger:
            await console.ask(
                "POST", "/chargers/time%201/do", {"do": "start", "evse": 1, "token": "04A2B3C4"}
            )
            await wait_until(
                lambda: charger.connectors.transactions and charger.connectors.transactions[0].id
            )

        async def timeline(query: str = "", role: Any = "operator") -> dict[str, Any]:
            shown = await console.get(f"/chargers/time%201/timeline{query}", role=role)
            Timeline.model_validate(shown, strict=True)
            return dict(shown)

        async with asyncio.timeout(20):
            while (shown := await timeline())["items"][0]["kind"] != "link":
                pass
        seen = [(one["kind"], one["action"]) for one in shown["items"]]
        assert seen[0] == ("link", "")
        for wanted in (
            ("answer", "StartTransaction"),
            ("message", "StartTransaction"),
            ("outcome", "RemoteStartTransaction"),
            ("command", "RemoteStartTransaction"),
            ("message", "StatusNotification"),
            ("answer", "BootNotification"),
            ("message", "BootNotification"),
        ):
            assert wanted in seen
        assert shown["items"][0]["payload"]["state"] == "down"
        assert seen.count(("link", "")) == 2, "each link once, though the stream has it twice"
        times = [one["at"] for one in shown["items"]]
        assert times == sorted(times, reverse=True)
        start = shown["items"][seen.index(("message", "StartTransaction"))]
        assert (start["payload"]["idTag"], start["version"]) == ("04A2B3C4", "ocpp1.6")
        ended = next(one for one in shown["items"] if one["kind"] == "outcome")
        assert (ended["outcome"], ended["payload"]) == ("result", {"status": "Accepted"})

        masked = await timeline(role="viewer")
        assert "04A2B3C4" not in orjson.dumps(masked).decode()
        assert "••••B3C4" in orjson.dumps(masked).decode()

        pages: list[Any] = []
        query = "?limit=3"
        while True:
            page = await timeline(query)
            pages += page["items"]
            if page["next"] is None:
                break
            query = f"?limit=3&before={page['next'].replace('+', '%2B')}"
        assert {one["id"] for one in pages} == {one["id"] for one in shown["items"]}


async def test_refused_frames_are_in_it_as_text(server: NatsServer, house: Gateway, books: Books) -> None:
    books.charger("errs", version="v16")
    frame = '[2,"1","StartTransaction",{"idTag":"04FFFFFF","<script>":1}]'
    async with desk(server, books) as console:
        async with dial(house.port, "errs") as charger:
            await charger.socket.send(frame)
            await charger.hear()
        shown = await console.get("/chargers/errs/timeline", role="operator")
        (refusal,) = (one for one in shown["items"] if one["kind"] == "refusal")
        assert refusal["payload"] == frame
        assert "Violation" in refusal["error"]
        masked = await console.get("/chargers/errs/timeline", role="viewer")
        (refusal,) = (one for one in masked["items"] if one["kind"] == "refusal")
        assert refusal["payload"] is None


@pytest.mark.parametrize(
    ("payload", "masked"),
    [
        ({"location": "https://h/a"}, {"location": "***"}),
        (
            {"log": {"remoteLocation": "ftp://h/l"}, "requestId": 1},
            {"log": {"remoteLocation": "***"}, "requestId": 1},
        ),
        ({"status": "Published", "location": ["https://h/a"]}, {"status": "Published", "location": "***"}),
        ({"sampledValue": [{"location": "Outlet"}]}, {"sampledValue": [{"location": "Outlet"}]}),
    ],
)
def test_viewers_see_no_address_of_a_file(payload: Any, masked: Any) -> None:
    fact = Message("S", 1, "ocpp.command.v201.GetLog.C", {}, orjson.dumps(payload), 1.0)
    assert moment(fact, shown=False)["payload"] == masked
    assert moment(fact, shown=True)["payload"] == payload


@pytest.mark.parametrize(
    ("subject", "headers", "data", "kind", "action", "error"),
    [
        (
            "ocpp.event.v201.NotifyEvent.C",
            {"ocpp-violation": "X /a%20b"},
            b"{}",
            "message",
            "NotifyEvent",
            "X /a b",
        ),
        (
            "ocpp.tx.v16.StopTransactionResponse.C",
            {"ocpp-error-code": "E"},
            b"{}",
            "answer",
            "StopTransaction",
            "E",
        ),
        ("ocpp.command.v21.ResetResponse.C", {"ocpp-outcome": "lost"}, b"", "outcome", "Reset", None),
        ("ocpp.security.bad_password.C", {}, b'{"count":3}', "security", "bad_password", None),
        ("ocpp.violation.C", {}, b'{"violations":[]}', "violation", "", None),
        ("ocpp.reject.v16.C", {"ocpp-error-reason": "r"}, b"\xff[", "refusal", "", "r"),
        ("ops.link.C", {}, b"[]", "link", "", None),
    ],
)
def test_each_kind_of_message(
    subject: str, headers: dict[str, str], data: bytes, kind: str, action: str, error: str | None
) -> None:
    found = moment(Message("S", 1, subject, headers, data, 1.0), shown=True)
    assert (found["kind"], found["action"], found["error"]) == (kind, action, error)
    Timeline.model_validate({"items": [found], "next": None}, strict=True)
