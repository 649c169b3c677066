"""What SIGHUP changes: which keys take effect at once, and which need a restart."""

from typing import Any

import pytest

from voltgate.config import load
from voltgate.gateway import reload
from voltgate.gateway.reload import Reloads, changes
from voltgate.gateway.telemetry.metrics import Metrics

pytestmark = pytest.mark.usefixtures("clean_environment")

SECRET = "SUACSSL3UAHUDXKFSNVUZRF5UHPMWZ6BFDTJ7M6USDXIEDNPPQYYYCU3VY"


@pytest.mark.parametrize(
    ("before", "after", "taken", "needs_restart"),
    [
        ({}, {}, [], []),
        (
            {},
            {"limits": {"open_calls": 3}, "drain": {"rate": 7}},
            ["limits.open_calls: 8 -> 3", "drain.rate: 500.0 -> 7.0"],
            [],
        ),
        ({}, {"nats": {"nkey_seed": SECRET}}, [], ["nats.nkey_seed"]),
        ({"nats": {"url": "nats://a:old@h"}}, {"nats": {"url": f"nats://a:{SECRET}@h"}}, [], ["nats.url"]),
        ({}, {"policy": {"v16": {"MeterValues": {"class": "event"}}}}, [], ["policy.v16.MeterValues.class"]),
        ({}, {"listeners": [{"port": 1}]}, [], ["listeners.0.port"]),
        ({"listeners": [{}]}, {"listeners": [{}, {"port": 1}]}, [], ["listeners.1.port"]),
        ({}, {"validation": "strict"}, [], ["validation"]),
        (
            {"policy": {"v16": {"MeterValues": {"answer": "backend"}}}},
            {},
            [],
            ["policy.v16.MeterValues.answer", "policy"],
        ),
    ],
)
def test_every_key_that_differs_is_named(
    before: dict[str, Any], after: dict[str, Any], taken: list[str], needs_restart: list[str]
) -> None:
    """A limit with its values, any other by its name alone."""
    found = changes(load(**before), load(**after))
    assert found.taken == taken
    assert set(needs_restart) <= set(found.needs_restart)
    assert SECRET not in str(found)


def test_only_the_settings_that_take_effect_at_once_are_taken() -> None:
    fresh = load(limits={"open_calls": 3}, drain={"rate": 7}, admin={"port": 1})
    ours = reload.taken(load(), reload.settings(fresh))
    assert (ours.limits, ours.drain, ours.admin) == (fresh.limits, fresh.drain, load().admin)


def test_a_failed_reload_shows_until_one_succeeds() -> None:
    metrics = Metrics()
    reloads = Reloads(metrics)

    def shown() -> tuple[float, float]:
        ((_, successful),), ((_, at),) = metrics.reload_successful.read(), metrics.reload_at.read()
        return successful, at

    successful, started = shown()
    assert successful == 1
    reloads.failed()
    assert shown() == (0, started)
    reloads.succeeded()
    successful, at = shown()
    assert successful == 1
    assert at >= started
