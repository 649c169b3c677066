"""A charger's configuration is read and changed through a real gateway, in each version."""

import asyncio
from typing import Any

import pytest
from nats.aio.msg import Msg

from csms.console.desk import Books, Desk, desk
from csms.console.stations import VERSIONS, backend, station
from e2e.house import Gateway
from e2e.strangers import dial, until
from jetstream import NatsServer
from voltgate.charger.messages import Payload
from voltgate.csms.console.operations import Configuration, ReadConfiguration

HEARTBEAT = {
    "v16": {"variable": "HeartbeatInterval"},
    "v201": {"component": "OCPPCommCtrlr", "variable": "HeartbeatInterval"},
    "v21": {"component": "OCPPCommCtrlr", "variable": "HeartbeatInterval"},
}
READ_ONLY = {
    "v16": {"variable": "NumberOfConnectors"},
    "v201": {"component": "ChargingStation", "variable": "Model"},
    "v21": {"component": "ChargingStation", "variable": "Model"},
}


def found(document: dict[str, Any], named: dict[str, str]) -> dict[str, Any]:
    """The variable of a configuration."""
    (component,) = (one for one in document["components"] if one["name"] == named.get("component", ""))
    (variable,) = (one for one in component["variables"] if one["name"] == named["variable"])
    return dict(variable)


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_configuration_is_read_and_changed(
    version: str, server: NatsServer, house: Gateway, books: Books
) -> None:
    identity = f"conf {version}/1"
    where = f"/chargers/conf%20{version}%2F1/configuration"
    books.charger(identity, version=version)
    async with desk(server, books) as console, backend(server), station(house, version, identity) as charger:
        nothing = await console.get(where, role="viewer")
        assert (nothing["at"], nothing["complete"], nothing["components"]) == (None, False, [])

        answer = await console.ask("POST", f"{where}/read", role="operator")
        assert answer.status == 200, answer.text
        ReadConfiguration.model_validate(answer.json, strict=True)
        assert (answer.json["outcome"], answer.json["complete"]) == ("result", True)
        heartbeat, fixed = found(answer.json, HEARTBEAT[version]), found(answer.json, READ_ONLY[version])
        assert (heartbeat["read_only"], fixed["read_only"]) == (False, True)
        assert heartbeat["attributes"][0]["value"] == "0"
        if version != "v16":
            assert (heartbeat["unit"], heartbeat["minimum"], heartbeat["data_type"]) == ("s", 0, "integer")

        changes = [
            HEARTBEAT[version] | {"value": "300"},
            READ_ONLY[version] | {"value": "9"},
            HEARTBEAT[version] | {"variable": "Nothing", "value": ""},
        ]
        answer = await console.ask("PUT", where, {"changes": changes}, role="manager")
        assert answer.status == 200, answer.text
        unknown = "NotSupported" if version == "v16" else "UnknownVariable"
        assert [one["status"] for one in answer.json["results"]] == ["Accepted", "Rejected", unknown]
        assert answer.json["results"][1]["meaning"] == "The charger refuses this value."
        assert charger.interval == 300

        once = {"Idempotency-Key": f"read {version}"}
        answer = await console.ask("POST", f"{where}/read", role="operator", headers=once)
        again = await console.ask("POST", f"{where}/read", role="operator", headers=once)
        assert again.json == answer.json, "a repeat asks nothing and finds the same report"
        shown = await console.get(where, role="viewer")
        Configuration.model_validate(shown, strict=True)
        assert found(shown, HEARTBEAT[version])["attributes"][0]["value"] == "300"
        assert shown["at"] == answer.json["at"]


async def test_a_change_that_needs_a_reboot_says_so_until_the_charger_boots(
    server: NatsServer, house: Gateway, books: Books
) -> None:
    books.charger("reboots", version="v16")
    async with desk(server, books) as console, backend(server), station(house, "v16", "reboots") as charger:
        charger.answers["ChangeConfiguration"] = {"status": "RebootRequired"}
        where, change = "/chargers/reboots/configuration", {"variable": "HeartbeatInterval", "value": "9"}
        answer = await console.ask("PUT", where, {"changes": [change]})
        assert answer.json["results"][0]["meaning"] == "Changed; it takes effect after a reboot."

        async def awaits() -> bool:
            answer = await console.ask("POST", f"{where}/read")
            return bool(found(answer.json, {"variable": "HeartbeatInterval"})["reboot"])

        assert await awaits()
        charger.boot_now("Triggered")
        async with asyncio.timeout(10):
            while await awaits():
                pass


async def test_what_a_charger_does_not_report_is_not_waited_for(
    server: NatsServer, house: Gateway, books: Books
) -> None:
    books.charger("silent", version="v201")
    async with desk(server, books) as console, backend(server), station(house, "v201", "silent") as charger:
        charger.answers["GetBaseReport"] = {"status": "NotSupported"}
        answer = await console.ask("POST", "/chargers/silent/configuration/read")
        assert (answer.json["status"], answer.json["complete"]) == ("NotSupported", False)


async def test_changes_that_a_version_does_not_have_are_not_sent(console: Desk, books: Books) -> None:
    books.charger("old", version="v16")
    books.charger("new", version="v201")
    books.charger("never", version="")
    cases: list[tuple[str, Payload, str]] = [
        ("old", {"component": "C", "variable": "V", "value": ""}, "V: OCPP 1.6 has keys and values only"),
        ("new", {"variable": "V", "value": ""}, "V: component is needed"),
        ("never", {"variable": "V", "value": ""}, "the charger has not been connected yet"),
    ]
    for charger, change, words in cases:
        where = f"/chargers/{charger}/configuration"
        answer = await console.ask("PUT", where, {"changes": [{"variable": "A", "value": "1"}, change]})
        assert answer.status == 409
        if charger != "new":
            assert answer.json["detail"].startswith(words)


THREE = [{"variable": name, "value": "1"} for name in ("HeartbeatInterval", "B", "C")]


def changes(version: str) -> dict[str, Any]:
    """Three, as the version has them."""
    return {"changes": [one | ({} if version == "v16" else {"component": "X"}) for one in THREE]}


@pytest.mark.parametrize("version", VERSIONS)
async def test_changes_that_could_not_be_sent_are_said_one_by_one(
    version: str, console: Desk, books: Books
) -> None:
    books.charger("away", version=version)
    answer = await console.ask("PUT", "/chargers/away/configuration", changes(version))
    assert answer.json["outcome"] == "not_connected"
    said = {(one["status"], one["meaning"]) for one in answer.json["results"]}
    assert said == {("not_sent", "Not sent: the charger is not connected.")}


@pytest.mark.parametrize(
    ("version", "statuses"),
    [("v16", ["lost", "not_sent", "not_sent"]), ("v201", ["lost"] * 3)],
)
async def test_changes_that_were_sent_and_not_answered_are_not_called_unsent(
    version: str, statuses: list[str], server: NatsServer, house: Gateway, books: Books
) -> None:
    identity = f"goes-{version}"
    books.charger(identity, version=version)
    async with desk(server, books) as console:
        async with dial(house.port, identity, version=version) as charger:
            where = f"/chargers/{identity}/configuration"
            sent = asyncio.ensure_future(console.ask("PUT", where, changes(version)))
            await charger.hear()
        answer = (await sent).json
        assert [one["status"] for one in answer["results"]] == statuses
        assert "effect is unknown" in answer["results"][0]["meaning"]


async def test_a_change_that_took_effect_is_said_although_nats_goes_away_after_it(
    alone: NatsServer, books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    books.charger("half", version="v16")
    async with desk(alone, books) as console:
        request = console.client.request

        async def accept(command: Msg) -> None:
            said = {"ocpp-outcome": "result"}
            await console.client.publish(command.reply, b'{"status":"Accepted"}', headers=said)

        async def last_request(*args: Any, **more: Any) -> Msg:
            reply = await request(*args, **more)
            alone.kill()
            await until(lambda: not console.client.is_connected)
            return reply

        await console.key()
        await console.client.subscribe("ocpprpc.send.ChangeConfiguration.half", cb=accept)
        monkeypatch.setattr(console.client, "request", last_request)
        answer = await console.ask("PUT", "/chargers/half/configuration", changes("v16"))
        assert (answer.status, answer.json["outcome"]) == (200, "unavailable")
        assert [one["status"] for one in answer.json["results"]] == ["Accepted", "not_sent", "not_sent"]
        again = await console.ask("PUT", "/chargers/half/configuration", changes("v16"))
        assert again.status == 503
        alone.start()
