"""What certification asks of a CSMS with its chargers: gateway, reference backend, simulated charger."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import orjson
import pytest
from nats.aio.client import Client

from answering import backend_on
from e2e.guarded import Guarded
from e2e.house import config, own_gateway
from e2e.logins import KEY, fast
from e2e.secured import Pki
from e2e.strangers import Facts, connected, until
from scripted_csms import QUICK, VERSIONS
from voltgate.backend.authority import Authorities
from voltgate.backend.boots import Boots
from voltgate.backend.rules import Rules
from voltgate.charger import Answer, Charger, Endpoint, Observer, Settings
from voltgate.charger.calls import Queued
from voltgate.charger.line import Line


class Watch(Observer):
    """The answers and commands of a charger, by their actions, in order."""

    def __init__(self) -> None:
        self.events: list[tuple[str, Any]] = []

    def answered(self, line: Line, call: Queued, answer: Answer) -> None:
        self.events.append((call.action, answer.payload))

    def commanded(self, line: Line, action: str, payload: dict[str, Any]) -> None:
        self.events.append((action, payload))

    def actions(self, *wanted: str) -> list[str]:
        return [action for action, _ in self.events if action in wanted]


@asynccontextmanager
async def running(settings: Settings, watch: Watch) -> AsyncIterator[Charger]:
    charger = Charger(settings, watch)
    charger.start()
    try:
        yield charger
    finally:
        await charger.stop()


async def sent(facts: Facts, action: str, body: dict[str, Any]) -> Any:
    reply = await facts.client.request(f"ocpprpc.send.{action}.{facts.token}", orjson.dumps(body), timeout=35)
    assert (reply.headers or {})["ocpp-outcome"] == "result", reply.data
    return orjson.loads(reply.data)


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_charger_comes_back_with_the_certificate_that_it_has_asked_for(
    nats_server: Guarded, client: Client, facts: Facts, tmp_path: Path, version: str
) -> None:
    """First with a password, then by mutual TLS, where it renews its certificate."""
    pki, rules = Pki.made_in(tmp_path), Rules(authorities=Authorities(tmp_path))
    shown = {"tls_certificates": [pki.servers.issue("server").pair], "allow_unauthenticated": False}
    settings = config(
        nats_server,
        shown | {"security_profile": 2},
        shown | {"security_profile": 3, "client_ca": str(tmp_path / "ca.pem")},
        registry={"required": True},
    )
    wanted = ("ExtendedTriggerMessage", "SignChargePointCertificate")
    if version != "v16":
        wanted = ("TriggerMessage", "SignChargingStationCertificate")

    async def registered(profile: int) -> None:
        bucket = await facts.client.jetstream().key_value("ocpp_chargers")
        record = {"enabled": True, "password_hashes": [fast(KEY)], "security_profile": profile}
        await bucket.put(facts.token, json.dumps(record).encode())

    async def renewed() -> None:
        before = charger.context
        answer = await sent(facts, wanted[0], {"requestedMessage": wanted[1]})
        assert answer == {"status": "Accepted"}
        await until(lambda: charger.context is not before)

    async with own_gateway(settings) as house:
        user = await connected(nats_server.url_of("backend"))
        urls = [f"wss://localhost:{port}/ocpp" for port in house.ports]
        endpoints = [Endpoint(url=urls[0], ssl=pki.context())]
        own = Settings(
            identity=facts.identity, version=version, endpoints=endpoints, password=KEY, behaviour=QUICK
        )
        watch = Watch()
        await registered(2)
        async with backend_on(user, client, rules=rules), running(own, watch) as charger:
            assert (await facts.link("up"))["security_profile"] == 2
            await until(lambda: charger.ready)
            await renewed()
            endpoints[:] = [Endpoint(url=urls[1], ssl=pki.context())]
            charger.password = None
            await registered(3)
            while (await facts.link("up"))["security_profile"] != 3:
                pass
            await until(lambda: charger.ready)
            await renewed()
            assert (await facts.link("up"))["security_profile"] == 3
        await user.close()
    order = ["SignCertificate", "CertificateSigned"]
    assert watch.actions(*order) == order * 2, "the command follows the answer that announces it"


BOOTED: list[tuple[str, str]] = [
    ("v16", "GetConfiguration"),
    ("v201", "GetBaseReport"),
    ("v21", "GetBaseReport"),
]


@pytest.mark.parametrize(("version", "asked"), BOOTED)
async def test_a_pending_charger_is_asked_for_its_configuration_and_then_accepted(
    nats_server: Guarded, client: Client, facts: Facts, tmp_path: Path, version: str, asked: str
) -> None:
    """It need not wait for its interval when the file changes; what it sends unasked is refused."""
    file, watch = tmp_path / "boots.txt", Watch()
    file.write_text(f"{quote(facts.identity)} Pending 600\n")
    async with booting(nats_server, client, facts, version, file, watch) as charger:
        await until(lambda: watch.actions(asked))
        assert charger.registration == "Pending"
        assert watch.events[0][1]["interval"] == 600
        early = await charger.call(*charger.dialect.authorize("A", "ISO14443"))
        assert isinstance(early, Answer)
        assert early.code == "SecurityError"
        file.write_text("# none\n")
        await until(lambda: charger.ready)
    assert watch.actions("TriggerMessage") == ["TriggerMessage"]


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_rejected_charger_is_asked_for_nothing(
    nats_server: Guarded, client: Client, facts: Facts, tmp_path: Path, version: str
) -> None:
    file, watch = tmp_path / "boots.txt", Watch()
    file.write_text("* Rejected 1\n")
    async with booting(nats_server, client, facts, version, file, watch, second=0.01) as charger:
        await until(lambda: len(watch.actions("BootNotification")) > 2)
        assert charger.registration == "Rejected"
    assert {action for action, _ in watch.events} == {"BootNotification"}


@asynccontextmanager
async def booting(
    server: Guarded,
    client: Client,
    facts: Facts,
    version: str,
    boots: Path,
    watch: Watch,
    *,
    second: float = 1.0,
) -> AsyncIterator[Charger]:
    """A charger that boots at a gateway whose backend has a file of boots."""
    user = await connected(server.url_of("backend"))
    rules, behaviour = Rules(boots=Boots(boots)), replace(QUICK, second=second)
    async with own_gateway(config(server)) as house, backend_on(user, client, rules=rules):
        endpoint = Endpoint(url=f"ws://127.0.0.1:{house.port}/ocpp")
        own = Settings(identity=facts.identity, version=version, endpoints=[endpoint], behaviour=behaviour)
        async with running(own, watch) as charger:
            yield charger
    await user.close()
