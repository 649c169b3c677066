"""What a process refuses to start with; its life is tested end to end."""

from typing import Any

import pytest

from voltgate.config import load
from voltgate.gateway.preflight import StartError, unserved
from voltgate.gateway.worker import Worker

UNSERVED: list[dict[str, Any]] = [
    {"security_profile": 2},
    {"security_profile": 3, "tls_certificates": [("cert.pem", "key.pem")], "client_ca": "ca.pem"},
    {"organization": "Example"},
    {"proxy_protocol": True, "trusted_proxies": ["192.0.2.0/24"]},
]


@pytest.mark.parametrize("listener", UNSERVED)
def test_what_is_not_served_yet_is_refused_before_a_port_is_open(listener: dict[str, Any]) -> None:
    """Chargers that are to be asked for certificates never come in by a plain port."""
    config = load(None, listeners=[{}, listener])
    with pytest.raises(StartError) as refused:
        Worker(config)
    lines = str(refused.value).splitlines()
    assert lines == unserved(config)
    assert {line.split()[0] for line in lines} == {f"listeners.1.{key}" for key in listener}


def test_the_default_configuration_is_served() -> None:
    worker = Worker(load(None))
    assert unserved(worker.config) == []
    assert worker.addresses == []
