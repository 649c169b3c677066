"""Alerts, mutes, rules, exclusions and channels: what a person with some sites may touch."""

import json
from typing import Any

import pytest

from csms.alerts.receiver import receiver
from csms.console.desk import Books, Desk, desk
from csms.console.test_deciding import stored
from jetstream import NatsServer

NORTH: dict[str, Any] = {"role": "manager", "sites": ["north"]}

BOTH = True


@pytest.fixture
def two(books: Books) -> None:
    """An alert at each of two sites, and one of none."""
    books.charger("CP1", "north")
    books.charger("CP2", "south")
    books.alert(subject="CP1")
    books.alert(subject="CP2", charger="CP2", since="2026-05-02T10:00:00.000Z")
    books.alert(rule="ledger", subject="OCPP_TX", charger="")


async def test_alerts_newest_first_and_by_site(two: None, console: Desk) -> None:
    page = await console.get("/alerts?limit=2")
    assert [one["id"] for one in page["items"]] == ["faulted/CP2", "ledger/OCPP_TX"]
    rest = await console.get(f"/alerts?limit=2&after={page['next']}")
    assert [one["id"] for one in rest["items"]] == ["faulted/CP1"]
    assert [one["id"] for one in (await console.get("/alerts", **NORTH))["items"]] == ["faulted/CP1"]


async def test_mute(two: None, console: Desk) -> None:
    until = {"until": "2026-05-03T00:00:00Z"}
    assert (await console.ask("POST", "/alerts/faulted%2FCP1/mute", until, **NORTH)).status == 200
    assert (await stored(console, "mute", "faulted/CP1")).body == {"until": "2026-05-03T00:00:00.000Z"}
    for foreign in ("faulted%2FCP2", "ledger%2FOCPP_TX", "faulted"):
        assert (await console.ask("POST", f"/alerts/{foreign}/mute", until, **NORTH)).status == 404
    assert (await console.ask("POST", "/alerts/faulted/mute", until)).status == 200


async def test_rules_have_defaults_and_are_checked(console: Desk) -> None:
    rules = (await console.get("/rules"))["items"]
    assert [one["id"] for one in rules] == sorted(one["id"] for one in rules)
    assert {"id": "offline"} in rules
    body = {"hold_minutes": 30, "quiet": {"from": "22:00", "to": "06:00"}, "why": "nights"}
    assert (await console.ask("PUT", "/rules/offline", body)).status == 200
    decision = await stored(console, "rule", "offline")
    assert (decision.body, decision.why) == (
        {"hold_minutes": 30, "quiet": {"from": "22:00", "to": "06:00"}}, "nights",
    )  # fmt: skip
    assert (await console.ask("DELETE", "/rules/offline")).status == 200
    assert (await stored(console, "rule", "offline")).body == {}
    for wrong, pointer in (
        ({"kind": "weather"}, "/kind"),
        ({"kind": "offline", "hold_minutes": -1}, "/hold_minutes"),
    ):
        answer = await console.ask("PUT", "/rules/mine", wrong)
        assert (answer.status, answer.json["errors"][0]["pointer"]) == (422, pointer)


@pytest.mark.parametrize(
    ("path", "kind", "body"),
    [
        ("/rules/mine", "rule", {"kind": "offline"}),
        ("/exclusions/mine", "exclusion", {"reason": "vandalism", "from": "2026-05-01T00:00:00Z"}),
    ],
)
async def test_with_a_list_of_sites_a_scope_is_one_of_them(
    path: str, kind: str, body: dict[str, Any], two: None, console: Desk, books: Books
) -> None:
    for scope, status in (
        ("site:north", 200), ("charger:CP1", 200), ("site:south", 403), ("charger:CP2", 403),
        ("default", 403), ("nonsense", 422),
    ):  # fmt: skip
        answer = await console.ask("PUT", path, body | {"scope": scope}, **NORTH)
        assert answer.status == status, (scope, answer.text)
    books.put(
        "decision", kind=kind, id="mine", seq=1, valid_from="", body='{"scope":"site:south"}', by="", at="",
        why="", tick="",
    )  # fmt: skip
    assert (await console.ask("PUT", path, body | {"scope": "site:north"}, **NORTH)).status == 404
    assert (await console.ask("DELETE", path, **NORTH)).status == 404
    books.run("UPDATE decision SET body = ?", '{"scope":"site:north"}')
    assert (await console.ask("DELETE", path, **NORTH)).status == 200
    assert (await console.ask("PUT", "/rules/offline", {"scope": "site:north"}, **NORTH)).status == 403


async def test_exclusions_need_a_reason_of_the_list(two: None, console: Desk, books: Books) -> None:
    wrong = await console.ask("PUT", "/exclusions/e", {"reason": "luck", "from": "2026-05-01T00:00:00Z"})
    assert (wrong.status, wrong.json["errors"][0]["pointer"]) == (422, "/reason")
    books.put("exclusion", id="n", scope="charger:CP1", body='{"reason":"utility"}')
    books.put("exclusion", id="s", scope="site:south", body='{"reason":"utility"}')
    assert [one["id"] for one in (await console.get("/exclusions", **NORTH))["items"]] == ["n"]


async def test_channels_hide_their_secret(console: Desk) -> None:
    hook = {"kind": "webhook", "url": "https://example.com/x", "secret": "geheim"}
    assert (await console.ask("PUT", "/channels/hook", hook)).status == 200
    (shown,) = (await console.get("/channels"))["items"]
    assert (shown["url"], "geheim" in str(shown)) == ("https://example.com/x", False)
    assert (await console.get("/channels", role="viewer"))["items"][0]["url"] is None
    refused = await console.ask("PUT", "/channels/hook", {"kind": "webhook", "url": "ftp://x"})
    assert (refused.status, refused.json["errors"][0]["pointer"]) == (422, "/url")
    assert (await console.ask("DELETE", "/channels/hook")).status == 204
    assert (await console.ask("DELETE", "/channels/hook")).status == 404


async def test_a_message_is_tried_on_one_channel(server: NatsServer, books: Books) -> None:
    async with receiver() as there, desk(server, books, smtp="smtp://127.0.0.1:1") as console:
        await console.ask("PUT", "/channels/hook", {"kind": "webhook", "url": there.url, "secret": "geheim"})
        await console.ask("PUT", "/channels/mail", {"kind": "mail", "to": ["a@b.example"]})

        async def tried(channel: str) -> Any:
            answer = await console.ask("POST", f"/channels/{channel}/test")
            assert answer.status == 200, answer.text
            return answer.json

        assert await tried("hook") == {"delivered": True, "error": None}
        ((headers, body),) = there.taken
        assert (json.loads(body)["kind"], json.loads(body)["text"]) == ("test", "Test of this channel")
        assert headers["Voltgate-Signature"].startswith("sha256=")
        there.status = 503
        assert await tried("hook") == {"delivered": False, "error": "HTTP status 503"}
        assert await tried("mail") == {"delivered": False, "error": "ConnectionRefusedError"}
        assert (await console.ask("POST", "/channels/none/test")).status == 404


async def test_mail_without_a_server_is_not_delivered(console: Desk) -> None:
    await console.ask("PUT", "/channels/mail", {"kind": "mail", "to": ["a@b.example"]})
    answer = await console.ask("POST", "/channels/mail/test")
    assert answer.json == {"delivered": False, "error": "csms.smtp is not configured"}
