"""``voltgate check --monitor``: what a crash would cost."""

from collections.abc import Callable
from pathlib import Path

import pytest

from cli.configuration import OPEN, SMALL
from jetstream import NatsServer

Findings = Callable[..., dict[str, tuple[str, str]]]

SYNC = [
    ("", 1, "hint", "sync_interval is 120 s: an OS crash loses messages acknowledged in the last 120 s"),
    ("sync_interval: 5s", 1, "hint", "loses messages acknowledged in the last 5 s"),
    ("sync_interval: always", 1, "hint", "a broken disk loses all"),
    ("sync_interval: always", 3, "ok", "loses no acknowledged message"),
    ("", 3, "hint", "most of the machines at once"),
]


@pytest.mark.parametrize(("setting", "replicas", "verdict", "told"), SYNC)
def test_the_monitoring_tells_what_a_crash_would_cost(
    findings: Findings,
    file: Callable[[str], Path],
    start_nats: Callable[..., NatsServer],
    free_port: Callable[[], int],
    tmp_path: Path,
    setting: str,
    replicas: int,
    verdict: str,
    told: str,
) -> None:
    port = free_port()
    settings = tmp_path / "nats.conf"
    settings.write_text(f'http: "127.0.0.1:{port}"\njetstream {{store_dir: "{tmp_path}/js"\n{setting}\n}}\n')
    url = start_nats("-c", str(settings)).url
    config = file(f"{OPEN}{SMALL}replicas={replicas}\n[nats]\nurl='{url}'\n")
    seen = findings(config, "--monitor", f"http://127.0.0.1:{port}/")
    assert seen["durability"][0] == verdict
    assert told in seen["durability"][1]
    assert seen["store"][0] == "ok"
    assert seen["cluster"][0] == ("ok" if replicas == 1 else "fail"), "three copies need three servers"
    without = findings(config)["durability"]
    assert without[0] == "hint"
    assert "--monitor" in without[1], "nobody can know from outside"


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:{free}", "127.0.0.1:{free}", "file:///", "http://[", "http://127.0.0.1:{nats}"]
)
def test_a_monitoring_url_that_leads_nowhere_is_named(
    findings: Findings,
    file: Callable[[str], Path],
    nats_server: NatsServer,
    free_port: Callable[[], int],
    url: str,
) -> None:
    url = url.format(free=free_port(), nats=nats_server.port)
    seen = findings(file(f"{OPEN}[nats]\nurl='{nats_server.url}'\n"), "--monitor", url)
    assert seen["monitor"][0] == "fail"
    assert url in seen["monitor"][1]


def test_a_server_without_jetstream_is_named(
    findings: Findings,
    file: Callable[[str], Path],
    start_nats: Callable[..., NatsServer],
    free_port: Callable[[], int],
) -> None:
    port = free_port()
    url = start_nats("-m", str(port)).url
    seen = findings(file(f"{OPEN}[nats]\nurl='{url}'\n"), "--monitor", f"http://127.0.0.1:{port}")
    assert "JetStream is off" in seen["monitor"][1]
