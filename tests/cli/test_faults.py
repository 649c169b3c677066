"""What an operator may get wrong is one readable line and exit code 2, never "a bug in voltgate"."""

from pathlib import Path

import pytest

from voltgate.cli import main

pytestmark = pytest.mark.usefixtures("clean_environment", "own_logs")

SEED = "SUACSSL3UAHUDXKFSNVUZRF5UHPMWZ6BFDTJ7M6USDXIEDNPPQYYYCU3VY"
SEND = ("send", "CP1", "Reset")
URL, NKEY, LIMIT = "VOLTGATE_NATS__URL", "VOLTGATE_NATS__NKEY_SEED", "VOLTGATE_LIMITS__MAX_CONNECTIONS"

FAULTS: list[tuple[dict[str, str], tuple[str, ...], str]] = [
    ({NKEY: "SUAbad"}, SEND, "nats.nkey_seed: must be the seed"),
    ({NKEY: SEED[:-1] + "A"}, ("serve",), "nats.nkey_seed: must be the seed"),
    ({NKEY: SEED.replace("SU", "SO", 1)}, SEND, "nats.nkey_seed: must be the seed"),
    ({URL: "nats://127.0.0.1:99999"}, SEND, "nats.url: must be a server"),
    ({URL: "nats://127.0.0.1:abc"}, SEND, "nats.url: must be a server"),
    ({URL: "127.0.0.1:0"}, SEND, "nats.url: must be a server"),
    ({URL: "nats://[::1"}, SEND, "nats.url: must be a server"),
    ({URL: "http://x"}, SEND, "nats.url: must be a server"),
    ({URL: '["ws://a","nats://b"]'}, SEND, "nats.url: must not mix"),
    ({LIMIT: "9" * 30}, ("policy",), "limits.max_connections: must be at most"),
    ({LIMIT: "9" * 5000}, ("policy",), "limits.max_connections: must be a whole number"),
    (
        {"VOLTGATE_LIMITS__CALLS_PER_SECOND": "inf"},
        ("policy",),
        "limits.calls_per_second: must be a finite number",
    ),
    ({"VOLTGATE_STREAMS__TX_MAX_BYTES": "1" + "0" * 18}, ("policy",), "streams.tx_max_bytes"),
    ({}, ("send", "\udcff", "Reset"), "'\\udcff': is not UTF-8"),
    ({}, (*SEND, "--command-id", "\udcff"), "'\\udcff': is not UTF-8"),
    ({}, ("tail", "--charger", "\udcff"), "'\\udcff': is not UTF-8"),
    ({}, ("tail", "--since", "0001-01-01T00:00:00+23:59"), "--since 0001-01-01T00:00:00+23:59: must be"),
    ({}, ("chargers", "import", "long.csv"), "long.csv:2: field larger than field limit"),
    ({}, ("policy", "--config", "deep.toml"), "deep.toml: values are nested too deeply"),
    ({}, ("policy", "--config", "\x1b[31m"), "\\x1b[31m: does not exist"),
    ({}, ("policy", "--no\x1b[31m"), "\\x1b[31m"),
]


@pytest.mark.parametrize(("environment", "arguments", "told"), FAULTS, ids=[told for *_, told in FAULTS])
def test_a_fault_of_the_operator_is_a_readable_line(
    environment: dict[str, str],
    arguments: tuple[str, ...],
    told: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("long.csv").write_text("identity,password\nCP1," + "x" * 140_000 + "\n")
    Path("deep.toml").write_text("a = " + "[" * 5000 + "]" * 5000)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert main(list(arguments)) == 2
    err = capsys.readouterr().err
    assert told in err
    assert "bug in voltgate" not in err
    assert all(line.isprintable() for line in err.split("\n"))


def test_a_file_of_credentials_that_is_none_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "x.creds"
    monkeypatch.setenv("VOLTGATE_NATS__CREDENTIALS", str(file))
    for text in (None, "garbage", "\xff"):
        if text is not None:
            file.write_text(text, encoding="latin-1")
        assert main(["send", "CP1", "Reset"]) == 2
        assert f"nats.credentials: {file}: " in capsys.readouterr().err


def test_a_printed_configuration_shows_no_secret_of_a_url(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(URL, '["nats://u:geheim@h?password=geheim&token=geheim", "nats://h?x=geheim"]')
    assert main(["check", "--print-config"]) == 0
    shown = capsys.readouterr().out
    assert "geheim" not in shown
    assert "nats://***@h?password=***&token=***" in shown
