"""How long streams keep what flows in: the arithmetic, and what `streams plan` prints of it."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from cli.configuration import SMALL
from jetstream import NatsServer
from voltgate.cli.capacity import DAY, Flow, capacity, estimated, human, measured
from voltgate.config import load

Run = Callable[..., tuple[int, str, str]]
pytestmark = pytest.mark.usefixtures("clean_environment")
MIB = 1 << 20


def test_what_flows_in_against_what_is_kept() -> None:
    config = load(streams={"tx_max_bytes": 300 * MIB, "tx_max_age_days": 30})
    enough = capacity(config, "tx", 10 * MIB)
    assert (enough.fits, enough.needed, enough.days) == (True, 300 * MIB, 30)
    short = capacity(config, "tx", 20 * MIB)
    assert (short.fits, short.days) == (False, 15)
    assert short.found == "20.0 MiB a day: 300.0 MiB are full after 15.0 of 30 days"
    assert (
        short.remedy == f"set streams.tx_max_bytes to {600 * MIB} or more, or streams.tx_max_age_days to 15"
    )
    assert capacity(config, "tx", 0).fits


@pytest.mark.parametrize(
    ("flow", "per_day", "why"),
    [
        (Flow(1000, 10 * MIB, DAY), 10 * MIB, "a day"),
        (Flow(1000, 10 * MIB, DAY / 2), 20 * MIB, "half a day"),
        (Flow(1000, 10 * MIB, 60.0), None, "a minute says little"),
        (Flow(1000, 60 * MIB, 60.0), 60 * MIB * 1440, "but for a stream that it has filled by half"),
    ],
)
def test_a_rate_is_concluded_from_enough(flow: Flow, per_day: float | None, why: str) -> None:
    found = measured(load(streams={"tx_max_bytes": 100 * MIB}), "tx", flow)
    assert (found and found.bytes_per_day) == per_day, why


def test_an_estimate_takes_the_size_that_was_measured() -> None:
    config = load()
    assumed = estimated(config, 1000, None, {})
    assert [one.section for one in assumed.capacities] == ["tx", "events", "commands"]
    assert assumed.tx_rate == pytest.approx(1000 * 260 / DAY)
    measured_too = estimated(
        config, 1000, 5.0, {"tx": Flow(2000, 4000 * 1000, DAY), "events": Flow(1, 9, 1.0)}
    )
    assert measured_too.tx_rate == 5.0, "--rate is of all chargers"
    assert measured_too.sizes[0] == 2000
    assert measured_too.sizes[1] == assumed.sizes[1], "one message is no mean"
    assert [one.section for one in estimated(config, 0, 5.0, {}).capacities] == ["tx"], "no charger, no event"


def test_sizes_for_people() -> None:
    assert [human(size) for size in (5, 2048, 3 << 20, 1 << 40)] == ["5 B", "2.0 KiB", "3.0 MiB", "1.0 TiB"]


def test_plan_prints_bytes_days_and_the_memory_of_the_window(
    voltgate: Run, file: Callable[[str], Path], nats_server: NatsServer
) -> None:
    config = file(f"{SMALL}[nats]\nurl='{nats_server.url}'\n")
    voltgate("streams", "apply", "--config", config)
    code, out, _ = voltgate("streams", "plan", "--chargers", "10000", "--rate", "50", "--config", config)
    assert code == 0
    rows = {line.split()[0]: line for line in out.splitlines()[8:]}
    assert (
        "50.00 per second x 1200 B = 4.8 GiB a day: 64.0 MiB are full after 0.0 of 30 days" in rows["OCPP_TX"]
    )
    assert "set streams.tx_max_bytes to 155520000000 or more" in rows["OCPP_TX"]
    assert "50.00 per second x 1200 s x 250 B = 14.3 MiB" in rows["duplicate"]
    _, out, _ = voltgate("streams", "plan", "--chargers", "10000", "--json", "--config", config)
    told = json.loads(out)
    assert [row["stream"] for row in told["capacity"]] == ["OCPP_TX", "OCPP_EVENTS", "OCPP_COMMANDS"]
    assert told["duplicate_window"]["rate"] == pytest.approx(10_000 * 260 / DAY)
