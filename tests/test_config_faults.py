"""The words for each fault of a configuration: what to do, never the words of a library."""

from pathlib import Path

import pytest

from voltgate.config import Config, ConfigError, load
from voltgate.config_faults import known

pytestmark = pytest.mark.usefixtures("clean_environment")

# The file, and what its message says after "voltgate.toml:"
FAULTS = [
    ("[nats]\nurll='x'", "2: nats.urll: no such key; did you mean nats.url?"),
    ("url='x'", "1: url: no such key; did you mean nats.url?"),
    (
        "[nats]\nmax_connections=4",
        "2: nats.max_connections: no such key; did you mean limits.max_connections?",
    ),
    ("[nats]\nxyz=1", "2: nats.xyz: no such key; `voltgate config example` lists all keys"),
    ("[lisseners]", "1: lisseners: no such key; did you mean listeners?"),
    ("[[listeners]]\nprt=1", "2: listeners.0.prt: no such key; did you mean listeners.0.port?"),
    ("[policy.v16.Heartbeat]\nclas='tx'", "2: policy.v16.Heartbeat.clas: no such key; did you mean "),
    ("[policy.v17.Heartbeat]\nclass='tx'", '1: policy.v17: must be "v16", "v201" or "v21"'),
    ("nats=3", "1: nats: must be a table: write [nats]"),
    ("[listeners]\nport=1", "1: listeners: must be a list: write [[listeners]]"),
    ("listeners=[]", "1: listeners: must have at least 1 entry"),
    ("[[listeners]]\nport=70000", "2: listeners.0.port: must be at most 65535"),
    ("[[listeners]]\nport='x'", "2: listeners.0.port: must be a whole number"),
    ("[[listeners]]\nhost=1", "2: listeners.0.host: must be text in quotes"),
    ("[[listeners]]\ntls_certificates=[\n['a']]", "3: listeners.0.tls_certificates.0.1: is missing"),
    (
        "[[listeners]]\ntls_certificates=[['a','b','c']]",
        "2: listeners.0.tls_certificates.0: must have at most 2",
    ),
    ("[nats]\nurl=1", "2: nats.url: must be text in quotes or a list"),
    ("[nats]\nurl=['http://a']", "2: nats.url: must be a server such as"),
    ("[nats]\nreply_prefixes=['a b']", "2: nats.reply_prefixes.0: must be 1 to 32 letters, digits, _ or -"),
    ("[nats]\ninbox_prefix='a.*'", "2: nats.inbox_prefix: must be 1 to 32 letters, digits, _ or -, or up to"),
    ("[nats]\nprefix='ocpprpc'", "2: nats.prefix: prefix and rpc_prefix must differ"),
    ("[nats]\nrpc_prefix='ocpp'", "2: nats.rpc_prefix: prefix and rpc_prefix must differ"),
    ("[nats]\npublish_timeout=0", "2: nats.publish_timeout: must be more than 0"),
    ("[limits]\nping_interval=nan", "2: limits.ping_interval: must be a finite number"),
    ("[limits]\nping_interval='x'", "2: limits.ping_interval: must be a number"),
    ("[limits]\nopen_calls=1.5", "2: limits.open_calls: must be a whole number"),
    ("[limits]\nopen_calls=0", "2: limits.open_calls: must be at least 1"),
    ("[registry]\nrequired='maybe'", "2: registry.required: must be true or false"),
    ("[streams]\nreplicas=2", "2: streams.replicas: must be 1, 3 or 5"),
    (
        "[streams]\ntx_max_age_days=1\nduplicate_window=86400\n[log]\nlevel='x'",
        '5: log.level: must be "debug", ',
    ),
    ("validation='Strict'", '1: validation: must be "strict", "lenient" or "off"'),
]


@pytest.mark.parametrize(("text", "told"), FAULTS, ids=[told for _, told in FAULTS])
def test_a_fault_of_the_file(tmp_path: Path, text: str, told: str) -> None:
    file = tmp_path / "voltgate.toml"
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load(file)
    assert str(caught.value).startswith(f"{file}:{told}")
    assert "\n" not in str(caught.value)
    assert "nput" not in str(caught.value), "pydantic's words begin with 'Input should be'"


VARIABLES = [
    ("VOLTGATE_NATS_URL", "x", "no such key; did you mean VOLTGATE_NATS__URL?"),
    ("VOLTGATE_MAX_CONNECTION", "1", "no such key; did you mean VOLTGATE_LIMITS__MAX_CONNECTIONS?"),
    ("VOLTGATE_FOO", "1", "no such key; remove the variable"),
    ("VOLTGATE_NATS__URLL", "x", "nats.urll: no such key; did you mean VOLTGATE_NATS__URL?"),
    ("VOLTGATE_LISTENERS", '[{"prt":1}]', "listeners.0.prt: no such key; did you mean listeners.0.port?"),
    ("VOLTGATE_LISTENERS", "[{", "is not JSON: write a list in JSON"),
    ("VOLTGATE_NATS", "x", "is not JSON: use a variable for each key, such as VOLTGATE_NATS__URL"),
    ("VOLTGATE_NATS__REPLY_PREFIXES", "a", "is not JSON: write a list in JSON"),
    ("VOLTGATE_LIMITS__OPEN_CALLS", "many", "limits.open_calls: must be a whole number"),
    ("voltgate_limits__open_calls", "0", "limits.open_calls: must be at least 1"),
]


@pytest.mark.parametrize(("name", "value", "told"), VARIABLES)
def test_a_fault_of_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str, told: str
) -> None:
    file = tmp_path / "voltgate.toml"
    file.write_text("[limits]\nopen_calls=2\n")
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError) as caught:
        load(file)
    assert str(caught.value).startswith(f"{name}: {told}"), "the file is not blamed"


def test_faults_of_the_file_and_of_the_environment_are_reported_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "voltgate.toml"
    file.write_text("a=1\n[limits]\nopen_calls=0\n")
    monkeypatch.setenv("VOLTGATE_NATS_URL", "x")
    monkeypatch.setenv("VOLTGATE_DRAIN__RATE", "0")
    with pytest.raises(ConfigError) as caught:
        load(file)
    sources = [line.split(": ")[0] for line in str(caught.value).splitlines()]
    assert sorted(sources) == [f"{file}:1", f"{file}:3", "VOLTGATE_DRAIN__RATE", "VOLTGATE_NATS_URL"]


def test_the_known_keys_are_those_of_the_file() -> None:
    keys = known(Config)
    assert "class_" not in str(keys)
    assert {"port", "host"} <= set(keys["listeners"]), "of an entry, where the section is a list"
