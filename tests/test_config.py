"""Where values come from, and that every fault names its key (docs/contract.md 4.2)."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from voltgate.config import Config, ConfigError, load, printable

pytestmark = pytest.mark.usefixtures("clean_environment")

DEPLOYED = Path(__file__).parent.parent / "deploy" / "voltgate.toml"

FAULTS = [
    ("[nats]\nurll = 'x'", "nats.urll: no such key", "an unknown key in a section"),
    ("natz = 1", "natz: no such key", "an unknown section"),
    ("[[listeners]]\n[[listeners]]\nprt = 1", "listeners.1.prt: no such key", "in the second listener"),
    ("listeners = []", "listeners: ", "nowhere to dial"),
    ("[[listeners]]\nport = 65536", "listeners.0.port: ", "no such port"),
    ("[[listeners]]\nassume_version = 'v16'", "listeners.0.assume_version: ", "a subprotocol is meant"),
    ("[[listeners]]\ntls_certificates = [['a']]", "listeners.0.tls_certificates.0.1: ", "a key is missing"),
    ("[nats]\nprefix = 'a.b'", "nats.prefix: ", "more than one token"),
    ("[nats]\npublish_timeout = 0", "nats.publish_timeout: ", "no time at all"),
    ("[limits]\nopen_calls = 'many'", "limits.open_calls: ", "not a number"),
    ("[streams]\nreplicas = 2", "streams.replicas: ", "no quorum of two"),
    (
        "[streams]\ntx_max_age_days = 1\nduplicate_window = 86400\ncommands_max_age_days = 1",
        "",
        "a window as long as the age is legal",
    ),
    ("[policy.v17.Heartbeat]\nclass = 'tx'", "policy.v17", "no such version"),
    ("[policy.v16.Heartbeat]\nclass = 'command'", "policy.v16.Heartbeat.class: ", "no such class"),
    ("validation = 'loose'", "validation: ", "no such level"),
    ("[log]\nlevel = 'trace'", "log.level: ", "no such level of logs"),
    ("[nats", "is not valid TOML", "the file is named"),
]


@pytest.mark.parametrize(("text", "line", "why"), FAULTS, ids=[why for *_, why in FAULTS])
def test_a_fault_is_one_line_with_the_line_of_the_file_and_the_key(
    tmp_path: Path, text: str, line: str, why: str
) -> None:
    file = tmp_path / "voltgate.toml"
    file.write_text(text)
    if why.endswith("is legal"):
        load(file)
        return
    with pytest.raises(ConfigError) as caught:
        load(file)
    (told,) = str(caught.value).splitlines()
    assert re.match(rf"{re.escape(str(file))}:\d: {re.escape(line)}", told), why


def test_all_faults_are_reported_together(tmp_path: Path) -> None:
    file = tmp_path / "voltgate.toml"
    file.write_text("[nats]\na = 1\n[limits]\nb = 2\n")
    with pytest.raises(ConfigError) as caught:
        load(file)
    assert [line.split("; ")[0] for line in str(caught.value).splitlines()] == [
        f"{file}:2: nats.a: no such key",
        f"{file}:4: limits.b: no such key",
    ]


def test_a_file_that_is_missing_or_no_text_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=re.escape(str(tmp_path / "absent.toml"))):
        load(tmp_path / "absent.toml")
    (tmp_path / "latin.toml").write_bytes(b"# \xff")
    with pytest.raises(ConfigError, match=re.escape("latin.toml")):
        load(tmp_path / "latin.toml")


ENVIRONMENT = [
    ("VOLTGATE_NATS__URL", "nats://b:1", lambda c: c.nats.urls, ["nats://b:1"], "a nested key"),
    ("VOLTGATE_NATS__URL", '["nats://b:1"]', lambda c: c.nats.urls, ["nats://b:1"], "a list as JSON"),
    ("VOLTGATE_LIMITS__OPEN_CALLS", "3", lambda c: c.limits.open_calls, 3, "a number"),
    ("VOLTGATE_REGISTRY__REQUIRED", "false", lambda c: c.registry.required, False, "a truth value"),
    ("VOLTGATE_VALIDATION", "off", lambda c: c.validation, "off", "a key at the top"),
    ("VOLTGATE_LISTENERS", '[{"port":1}]', lambda c: c.listeners[0].port, 1, "the listeners as JSON"),
]


@pytest.mark.parametrize(("name", "value", "read", "expected", "why"), ENVIRONMENT)
def test_the_environment_beats_the_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, value: str, read: Any, expected: Any, why: str
) -> None:
    file = tmp_path / "voltgate.toml"
    file.write_text("validation='strict'\n[nats]\nurl='nats://a:1'\nprefix='p'\n[limits]\nopen_calls=2\n")
    monkeypatch.setenv(name, value)
    config = load(file)
    assert read(config) == expected, why
    assert config.nats.prefix == "p", "what the environment does not name stays as the file has it"


def test_flags_beat_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VOLTGATE_NATS__URL", "nats://b:1")
    monkeypatch.setenv("VOLTGATE_NATS__PREFIX", "env")
    config = load(nats={"url": "nats://c:1"})
    assert (config.nats.url, config.nats.prefix) == ("nats://c:1", "env")


WRONG_VARIABLES = [
    ("VOLTGATE_NATSURL", "nats://b:1", "VOLTGATE_NATSURL: no such key; did you mean VOLTGATE_NATS__URL?"),
    ("VOLTGATE_NATS__URLL", "nats://b:1", "VOLTGATE_NATS__URLL: nats.urll: no such key"),
    ("VOLTGATE_LIMITS__OPEN_CALLS", "many", "VOLTGATE_LIMITS__OPEN_CALLS: limits.open_calls: "),
    ("VOLTGATE_LISTENERS", "[{", "VOLTGATE_LISTENERS: is not JSON"),
]


@pytest.mark.parametrize(("name", "value", "line"), WRONG_VARIABLES)
def test_a_wrong_variable_stops_the_start(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, line: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError) as caught:
        load()
    assert str(caught.value).startswith(line)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("nats://user:secret@a:4222", "nats://***@a:4222"),
        ("nats://secret@a:4222", "nats://***@a:4222"),
        (["nats://u:secret@a:1", "nats://b:1"], ["nats://***@a:1", "nats://b:1"]),
        ("user:secret@a:4222", "***@a:4222"),
        ("nats://u:se/cret@a:4222", "nats://***@a:4222"),
        ("nats://a:4222?password=secret&x=secret", "nats://a:4222?password=***&x=***"),
        ("nats://a:4222", "nats://a:4222"),
        ("wss://a:4222/nats?password=secret&token=secret", "wss://a:4222/nats?password=***&token=***"),
    ],
)
def test_what_is_printed_holds_no_secret(url: Any, shown: Any) -> None:
    seed = "SUACSSL3UAHUDXKFSNVUZRF5UHPMWZ6BFDTJ7M6USDXIEDNPPQYYYCU3VY"
    config = load(nats={"url": url, "nkey_seed": seed})
    assert printable(config)["nats"]["url"] == shown
    assert "secret" not in str(printable(config)) + config.nats.shown
    assert seed not in str(printable(config)) + repr(config.nats.nkey_seed)


def test_the_deployed_file_has_every_key_with_its_default_and_no_other() -> None:
    """What has no default (validation, policy) stands there as a comment that can be taken off."""
    text = DEPLOYED.read_text()
    assert load(DEPLOYED).model_dump() == load().model_dump()
    given, known = tomllib.loads(text), Config().model_dump(mode="json")
    for section in known.keys() - {"validation", "policy"}:
        rows = given[section] if section == "listeners" else [given[section]]
        expected = known[section] if section == "listeners" else [known[section]]
        assert [set(row) for row in rows] == [set(row) for row in expected], section
    taken_off = tomllib.loads(re.sub(r"^# (?=[a-z_]+ = |\[)", "", text, flags=re.MULTILINE))
    assert taken_off["validation"] == "strict"
    assert set(taken_off["policy"]["v16"]["MeterValues"]) == {"class", "answer", "validation", "fallback"}
