"""Values of the options of ``voltgate swarm``: each fault is one line, before anything starts."""

from collections.abc import Callable
from pathlib import Path

import pytest

from voltgate.charger.plan import MIX
from voltgate.cli.faults import Failure
from voltgate.cli.swarm import values
from voltgate.cli.swarm.options import Options
from voltgate.cli.swarm.prepare import prepared
from voltgate.cli.swarm.scenarios import DAY, day

WRONG = [
    (["--url", "http://127.0.0.1:9"], "ws://HOST:PORT/PATH", "no websocket URL"),
    (["--url", "ws://127.0.0.1:99999/"], "from 1 to 65535", "port out of range"),
    (["--url", "ws://127.0.0.1:0/"], "from 1 to 65535", "port 0"),
    (["--url", "ws://127.0.0.1:9/ocpp?token=secret"], "must not have a query", "query"),
    (["--url", "ws://me:secret@127.0.0.1:9/"], "must not have a user", "password in the URL"),
    (["--version", "1.5"], "must be one of 1.6, 2.0.1, 2.1", "no such version"),
    (["--chargers", "0"], "--chargers", "no charger"),
    (["--url", "ws://192.0.2.1:9/", "--source-addresses", "2"], "on this machine", "no loopback there"),
    (["--password-file", "absent"], "absent: No such file", "no such file"),
    (["--password-file", "short"], "1 logins for 1000 chargers", "too few"),
    (["--password-file", "odd"], "lines must be 'identity,password'", "not a login"),
    (["--threshold", "p99_ms"], "must have the form 'p99_ms<50'", "no condition"),
    (["--threshold", "p98_ms<1"], "p98_ms is not a figure", "no such figure"),
    (["--find-rate", "--until", "x<1"], "--until 'x<1': x is not a figure", "no such figure to search"),
    (["--find-rate", "--rate", "0"], "requires a --rate above 0", "nothing to begin with"),
    (["--find-rate", "--storm"], "--storm: cannot be used with --find-rate", "a search with faults"),
    (["--profile", "a", "--replay", "b"], "--replay: cannot be used with --profile", "two plans"),
    (["--mix", "meter"], "KIND=SHARE", "no share"),
    (["--mix", "boot=1"], "a KIND of meter, ", "no such kind"),
    (["--mix", "meter=0"], "every share is 0", "nothing to send"),
    (["--profile", "absent"], "absent: No such file", "no profile"),
    (["--profile", "odd"], "line 1: must have the form 'HH:MM,RATE'", "not a profile"),
    (["--replay", "absent"], "absent: No such file", "no recording"),
    (["--replay", "odd"], "line 1 is not a frame", "not a recording"),
    (["--replay", "empty"], "no CALL of a charger", "an empty recording"),
    (["--fan-out"], "--fan-out: requires --commands", "a fan-out of nothing"),
    (["--commands", "1", "--command", "Heartbeat"], "Heartbeat: is not a command", "a charger's message"),
    (["--commands", "1", "--command", "Reset {"], "Reset: ", "no JSON"),
    (["--cert", "a.pem"], "each requires the other", "no key"),
    (["--url", "wss://127.0.0.1:9/", "--ca", "odd"], "odd: no certificate or key", "no certificate"),
    (["--admin", "127.0.0.1:9464"], "http://HOST:PORT", "no URL"),
    (["--rate", "1", "storm"], "--rate: must follow storm", "an option before the scenario"),
    (["compare", "absent", "odd"], "absent: No such file", "nothing to compare"),
    (["compare", "odd", "odd"], "odd: not a result", "no result"),
]


@pytest.mark.parametrize(("options", "words", "why"), WRONG, ids=[row[2] for row in WRONG])
def test_a_usage_error_is_a_line_and_exit_code_2(
    voltgate: Callable[..., tuple[int, str, str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    options: list[str],
    words: str,
    why: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("short").write_text("CP1,secret\n")
    Path("odd").write_text("CP1,secret,secret\n")
    Path("empty").write_text("\n")
    code, out, err = voltgate("swarm", *options)
    assert (code, out) == (2, ""), why
    assert words in err
    assert "secret" not in err


@pytest.mark.parametrize(
    ("text", "points"),
    [
        ("0,1\n10,2\n", [(0, 1), (10, 2)]),
        ("time,rate\n06:00,1\n06:30,2.5\n", [(0, 1), (1800, 2.5)]),
        ("00:00:30,0\n00:01:00,4\n\n", [(0, 0), (30, 4)]),
    ],
)
def test_a_profile_has_seconds_or_times_of_day(
    tmp_path: Path, text: str, points: list[tuple[float, float]]
) -> None:
    (tmp_path / "day.csv").write_text(text)
    assert values.profile(tmp_path / "day.csv") == points


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("1,1\n1,2\n", "line 2: times must increase"),
        ("0,1\n1,-2\n", "rates be 0 or more"),
        ("0,1\n1,nan\n", "rates be 0 or more"),
        ("0,1\n", "two lines at least"),
        ("0,1\nx,2\n", "line 2: must have"),
    ],
)
def test_another_profile_is_a_fault(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "day.csv").write_text(text)
    with pytest.raises(Failure, match=words):
        values.profile(tmp_path / "day.csv")


def test_a_recording_has_the_chargers_and_the_file_their_passwords(tmp_path: Path) -> None:
    frames, passwords = tmp_path / "frames", tmp_path / "passwords"
    lines = [
        f'{{"at":{at},"identity":"{identity}","version":"v16","action":"Heartbeat","payload":{{}}}}'
        for at, identity in ((5, "CP 1"), (9, "CP 2"))
    ]
    frames.write_text("\n".join(lines))
    passwords.write_text("CP 2,secret\nCP 3,other\n")
    run = prepared("steady", Options(replay=frames, password_file=passwords, speed=2.0, processes=1)).run
    (plan,) = run.plans
    assert plan.chargers == [("CP 1", "v16", None, ""), ("CP 2", "v16", "secret", "")]
    assert (run.wish.chargers, run.wish.duration, run.wish.rate) == (2, 2.0, 1.0)


def test_a_profile_is_shared_by_the_processes_and_keeps_its_calls_at_any_speed(tmp_path: Path) -> None:
    (tmp_path / "day.csv").write_text("0,10\n100,30\n")
    run = prepared(
        "steady",
        Options(profile=tmp_path / "day.csv", speed=4.0, processes=2, chargers=4, reconnect_rate=1.0),
    ).run
    assert [plan.profile for plan in run.plans] == [[(0.0, 20.0), (25.0, 60.0)]] * 2
    assert (run.wish.duration, run.wish.rate) == (25.0, 80.0)
    assert [plan.reconnect_rate for plan in run.plans] == [0.5, 0.5]


def test_kinds_that_a_mix_does_not_name_get_no_share() -> None:
    assert values.mix("", MIX) == MIX
    assert values.mix("meter=3, status=1", MIX) == dict.fromkeys(MIX, 0) | {"meter": 3, "status": 1}


def test_a_day_has_its_mean_rate() -> None:
    points = day(100.0)
    assert (points[0][0], points[-1][0]) == (0, 86_400)
    assert sum(rate for _, rate in points[:-1]) / len(DAY) == pytest.approx(100.0)
