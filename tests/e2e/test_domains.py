"""A hub and its leaf nodes (docs/reference.md, "Domains"): each JetStream has its own gateways and facts."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from nats.aio.client import Client
from nats.errors import NoRespondersError

from e2e.house import Gateway, config, gateway
from e2e.outages import meter
from e2e.strangers import connected, dial, token
from jetstream import NatsServer, free_port
from voltgate.cli import main

LEAF = (Path(__file__).parents[2] / "deploy" / "nats" / "leaf.conf").read_text()
TX = "OCPP_TX"


@dataclass
class Sites:
    """The hub, a site with a JetStream, and a server without one that is a leaf node of the hub as well."""

    hub: NatsServer
    site: NatsServer
    bare: NatsServer

    def kill(self) -> None:
        for server in (self.hub, self.site, self.bare):
            server.kill()


def start(folder: Path, text: str) -> NatsServer:
    folder.mkdir()
    file = folder / "nats.conf"
    file.write_text(text)
    return NatsServer(folder, ["-c", str(file)])


@pytest.fixture(scope="module")
def sites(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sites]:
    """The site has the shipped configuration, with its addresses and its folder changed."""
    folder, leaves = tmp_path_factory.mktemp("sites"), free_port()
    here = f"nats-leaf://127.0.0.1:{leaves}"
    leaf = LEAF.replace("nats-leaf://hub.example:7422", here).replace("/var/lib/nats", str(folder / "store"))
    store = folder / "hub-store"
    sites = Sites(
        start(
            folder / "hub",
            f'server_name: hub\njetstream {{ domain: hub, store_dir: "{store}" }}\n'
            f'leafnodes {{ host: "127.0.0.1", port: {leaves} }}\n',
        ),
        start(folder / "site", leaf.replace("port: 4222\n", "")),
        start(folder / "bare", f'server_name: bare\nleafnodes {{ remotes: [{{ url: "{here}" }}] }}\n'),
    )
    yield sites
    sites.kill()


@pytest.fixture(scope="module")
def gateways(sites: Sites) -> Iterator[dict[str, Gateway]]:
    """At the hub, at the site, and one at the server without JetStream that uses the hub's."""
    at = {"hub": (sites.hub, "hub"), "site": (sites.site, "site1"), "bare": (sites.bare, "hub")}
    with (
        gateway(config(at["hub"][0], nats={"domain": at["hub"][1]})) as hub,
        gateway(config(at["site"][0], nats={"domain": at["site"][1]})) as site,
        gateway(config(at["bare"][0], nats={"domain": at["bare"][1]})) as bare,
    ):
        yield {"hub": hub, "site": site, "bare": bare}


async def stored(client: Client, domain: str, identity: str) -> int:
    """How many facts of class tx the domain keeps of a charger."""
    info = await client.jsm(prefix=f"$JS.{domain}.API").stream_info(
        TX, subjects_filter=f"ocpp.tx.*.*.{token(identity)}"
    )
    return sum((info.state.subjects or {}).values())


async def keys(client: Client, domain: str) -> set[str]:
    """The gateways that the domain knows."""
    bucket = "KV_ocpp_gateways"
    info = await client.jsm(prefix=f"$JS.{domain}.API").stream_info(bucket, subjects_filter=">")
    return {subject.rpartition(".")[2] for subject in info.state.subjects or {}}


async def test_a_fact_is_stored_once_in_the_domain_of_its_gateway(
    sites: Sites, gateways: dict[str, Gateway], identity: str
) -> None:
    """And gateways know those of their domain alone."""
    client = await connected(sites.hub.url)
    expected = {"hub": ("hub", "site1"), "site": ("site1", "hub"), "bare": ("hub", "site1")}
    for name, (ours, other) in expected.items():
        who = f"{identity} {name}"
        async with dial(gateways[name].port, who) as charger:
            assert await charger.ask(meter("1")) == '[3,"1",{}]'
        assert (await stored(client, ours, who), await stored(client, other, who)) == (1, 0), name
    names = {name: running.worker.name for name, running in gateways.items()}
    assert await keys(client, "site1") == {names["site"]}
    assert await keys(client, "hub") == {names["hub"], names["bare"]}
    assert sum(running.metric("voltgate_bus_garbage_total") for running in gateways.values()) == 0
    await client.close()


async def test_a_command_from_the_hub_reaches_a_charger_of_the_site(
    sites: Sites, gateways: dict[str, Gateway], identity: str
) -> None:
    """Questions and commands cross, whatever the lists deny."""
    client = await connected(sites.hub.url)
    async with dial(gateways["site"].port, identity) as charger:

        async def command() -> str:
            while True:
                with suppress(NoRespondersError):  # the hub learns of the subscription in its own time
                    reply = await client.request(
                        f"ocpprpc.send.ClearCache.{token(identity)}", b"{}", timeout=20
                    )
                    return (reply.headers or {})["ocpp-outcome"]

        commanding = asyncio.ensure_future(command())
        message_id = json.loads(await charger.hear())[1]
        await charger.send(f'[3,"{message_id}",{{"status":"Accepted"}}]')
        assert await commanding == "result"
    await client.close()


def test_commands_use_the_domain_wherever_they_are_connected(
    sites: Sites,
    gateways: dict[str, Gateway],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """At the hub, with the site's domain: its streams, and a record in its registry and in no other."""
    file = tmp_path / "voltgate.toml"
    file.write_text(f'[nats]\nurl = "{sites.hub.url}"\ndomain = "site1"\n')
    assert main(["streams", "plan", "--config", str(file)]) == 0
    assert main(["chargers", "online", "--config", str(file)]) == 0
    capsys.readouterr()
    assert main(["chargers", "add", "CP at the site", "--config", str(file)]) == 0
    assert main(["chargers", "list", "--config", str(file)]) == 0
    assert "CP at the site" in capsys.readouterr().out
    at_hub = tmp_path / "hub.toml"
    at_hub.write_text(f'[nats]\nurl = "{sites.hub.url}"\ndomain = "hub"\n')
    assert main(["chargers", "list", "--config", str(at_hub)]) == 0
    assert "CP at the site" not in capsys.readouterr().out
    assert main(["permissions", "gateway", "--config", str(file)]) == 0
    assert "$JS.site1.API.STREAM.INFO.OCPP_TX" in (out := capsys.readouterr().out)
    assert "$JS.site1.API.$KV.ocpp_gateways.>" in out
    assert '"$JS.API.' not in out
