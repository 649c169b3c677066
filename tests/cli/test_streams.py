"""``voltgate streams plan`` and ``apply``."""

import json
from collections.abc import Callable
from pathlib import Path

from cli.configuration import SMALL
from jetstream import NatsServer

Run = Callable[..., tuple[int, str, str]]


def test_streams_are_planned_applied_and_planned_again(
    voltgate: Run, file: Callable[[str], Path], nats_server: NatsServer
) -> None:
    config = file(f"{SMALL}[nats]\nurl='{nats_server.url}'\n")
    code, out, err = voltgate("streams", "plan", "--config", config)
    assert (code, err) == (0, ""), "a plan is done when it is told"
    assert out.splitlines()[0].split() == ["OCPP_TX", "create"]
    assert voltgate("streams", "plan", "--check", "--config", config)[0] == 1
    code, out, _ = voltgate("streams", "apply", "--config", config)
    assert (code, out.count("created")) == (0, 7)
    code, out, _ = voltgate("streams", "plan", "--check", "--json", "--rate", "500", "--config", config)
    told = json.loads(out)
    assert (code, {row["action"] for row in told["streams"]}) == (0, {"ok"})
    assert told["duplicate_window"] == {"rate": 500.0, "seconds": 1200, "bytes": 150_000_000}
    assert "143.1 MiB" in voltgate("streams", "plan", "--rate", "500", "--config", config)[1]
    config.write_text(config.read_text().replace("tx_max_bytes=67108864", "tx_max_bytes=33554432"))
    _, out, _ = voltgate("streams", "apply", "--config", config)
    assert "OCPP_TX              updated  max_bytes: 67108864 -> 33554432\n" in out


def test_streams_say_so_where_jetstream_is_off(
    voltgate: Run, file: Callable[[str], Path], start_nats: Callable[..., NatsServer]
) -> None:
    config = file(f"[nats]\nurl='{start_nats().url}'\n")
    code, out, err = voltgate("streams", "plan", "--config", config)
    assert (code, out) == (1, "")
    assert "voltgate: JetStream does not answer" in err
