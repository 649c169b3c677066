"""What a process refuses to start with; its life is tested end to end."""

from typing import Any

import pytest

from voltgate.config import load
from voltgate.gateway.preflight import StartError, unserved
from voltgate.gateway.worker import Worker

UNSERVED: list[dict[str, Any]] = [
    {"security_profile": 2},
    {"security_profile": 3, "tls_certificates": [("missing.pem", "missing.key")], "client_ca": "ca.pem"},
    {"proxy_protocol": True},
]


@pytest.mark.parametrize("listener", UNSERVED)
def test_what_cannot_be_served_as_configured_is_refused_before_a_port_is_open(
    listener: dict[str, Any],
) -> None:
    """Chargers that are to be asked for certificates never come in by a plain port."""
    config = load(None, listeners=[{}, {"port": 9001} | listener])
    with pytest.raises(StartError) as refused:
        Worker(config)
    assert str(refused.value).splitlines() == unserved(config)
    assert all("listeners.1." in line for line in str(refused.value).splitlines())


def test_the_default_configuration_is_served() -> None:
    worker = Worker(load(None))
    assert unserved(worker.config) == []
    assert worker.addresses == []
