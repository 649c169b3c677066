"""What keeps a gateway from starting: the same findings for ``Worker``, ``serve`` and ``check``."""

from typing import Any

import pytest
from nats.errors import NoRespondersError
from nats.js.errors import ServiceUnavailableError

from jetstream import NatsServer
from voltgate.config import Config, load
from voltgate.gateway import preflight
from voltgate.gateway.bus import connect, streams
from voltgate.gateway.worker import Worker

pytestmark = pytest.mark.usefixtures("clean_environment", "own_logs")

PAIR = [("missing.pem", "missing.key")]
UNSERVED: list[tuple[dict[str, object], list[str], str]] = [
    ({}, [], "basic authentication without TLS"),
    ({"security_profile": 2}, ["tls_certificates"], "more would be promised than is kept"),
    ({"proxy_protocol": True}, ["trusted_proxies"], "anybody could name any address"),
    ({"security_profile": 3, "organization": "ACME"}, ["tls_certificates", "organization"], "each is named"),
    ({"security_profile": 2, "tls_certificates": PAIR}, ["tls_certificates"], "a file that is not there"),
]


@pytest.mark.parametrize(("listener", "keys", "why"), UNSERVED, ids=[why for *_, why in UNSERVED])
def test_a_listener_that_cannot_be_served_as_configured_is_named(
    listener: dict[str, object], keys: list[str], why: str
) -> None:
    lines = preflight.unserved(load(listeners=[{"port": 1}, listener]))
    assert [line.split(": ")[1] for line in lines] == [f"listeners.1.{key}" for key in keys], why


def serving(server: NatsServer, **settings: Any) -> Config:
    size = 64 << 20
    small = {"tx_max_bytes": size, "events_max_bytes": size, "commands_max_bytes": size}
    listeners = settings.pop("listeners", [{"host": "127.0.0.1", "port": 0}])
    return load(nats={"url": server.url}, streams=small, listeners=listeners, **settings)


async def test_a_worker_names_everything_that_is_wrong_at_once(nats_server: NatsServer) -> None:
    config = serving(nats_server, limits={"max_message_bytes": 1 << 20})
    with pytest.raises(preflight.StartError) as caught:
        await Worker(config).run()
    lines = str(caught.value).splitlines()
    assert lines[0].startswith(
        "command line: limits.max_message_bytes is 1048576, but NATS accepts 1048576 bytes"
    )
    assert "stream OCPP_TX is missing: run `voltgate streams apply`, or change the configuration" in lines
    assert len(lines) == 1 + len(streams.wanted(config))


async def test_a_stream_of_a_later_release_is_a_hint_and_does_not_stop_the_start(
    nats_server: NatsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = serving(nats_server)
    later = config.model_copy(update={"streams": config.streams.model_copy(update={"tx_max_age_days": 20})})
    monkeypatch.setattr(streams, "_SIGNED", {"voltgate_release": "0.999.0"})
    client = await connect.connect(config.nats)
    await streams.apply(client, later)
    found = preflight.jetstream(await streams.plan(client, config), None, config)
    await client.close()
    findings = {one.name: one for one in found}
    assert {one.severity for one in findings.values()} == {"ok", "hint"}
    assert findings["OCPP_TX"].severity == "hint"
    assert "the later release 0.999.0" in findings["OCPP_TX"].text


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ServiceUnavailableError(description="insufficient resources"), "JetStream refuses (insufficient"),
        (NoRespondersError(), "JetStream does not answer (NoRespondersError): enable it"),
        (TimeoutError(), "JetStream does not answer (TimeoutError): enable it"),
    ],
)
def test_an_error_of_jetstream_says_what_to_do(error: Exception, text: str) -> None:
    assert preflight.jetstream_fault(error).startswith(text)
