"""``voltgate chargers`` against a real registry: what it writes, shows and refuses."""

import asyncio
import io
import json
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import nats
import pytest
from argon2 import PasswordHasher
from nats.aio.client import Client
from nats.aio.msg import Msg

from cli.chargers.book import Kept, OnNats, Run, put
from jetstream import NatsServer
from processes import Start
from voltgate.cli import main

pytestmark = pytest.mark.usefixtures("clean_environment", "own_logs")


def test_add_prints_the_key_once_and_keeps_a_hash(chargers: Run, kept: Kept) -> None:
    code, out, err = chargers("add", "CP 1")
    key = out.strip()
    assert (code, len(bytes.fromhex(key)), err) == (0, 20, "")
    record = kept("CP=201")
    assert record["enabled"] is True
    assert len(record["password_hashes"]) == 1
    assert record["password_hashes"][0].startswith("$voltgate-sha256$")
    assert key not in json.dumps(record)
    assert key not in chargers("show", "CP 1")[1] + chargers("list")[1]


def test_add_takes_every_field_of_a_record(chargers: Run, kept: Kept) -> None:
    code, out, _ = chargers(
        "add", "CP1", "--profile", "2", "--version", "1.6", "--version", "ocpp2.1", "--validation", "lenient",
        "--quirk", "no_ping", "--cn", "SN-7", "--json",
    )  # fmt: skip
    told = json.loads(out)
    assert (code, told["identity"], len(told["password"])) == (0, "CP1", 40)
    record = kept("CP1")
    del record["password_hashes"]
    assert record == {
        "enabled": True,
        "security_profile": 2,
        "certificate_cn": "SN-7",
        "versions": ["v16", "v21"],
        "validation": "lenient",
        "quirks": ["no_ping"],
    }
    shown = json.loads(chargers("show", "CP1", "--json")[1])
    assert shown == {
        "identity": "CP1",
        "state": "enabled",
        "profile": 2,
        "versions": ["v16", "v21"],
        "validation": "lenient",
        "quirks": ["no_ping"],
        "passwords": ["voltgate-sha256"],
    }


def test_a_password_of_ones_own_is_hashed_slowly_unless_it_is_a_random_key(
    chargers: Run, kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert chargers("add", "CP1", "--password", "chosen by a person") == (0, "", "")
    assert PasswordHasher().verify(kept("CP1")["password_hashes"][0], "chosen by a person")
    monkeypatch.setattr("sys.stdin", io.StringIO("from standard input\n"))
    assert chargers("add", "CP2", "--password", "-") == (0, "", "")
    assert PasswordHasher().verify(kept("CP2")["password_hashes"][0], "from standard input")
    chargers("add", "CP3", "--password", "f" * 40, "--random-key")
    assert kept("CP3")["password_hashes"][0].startswith("$voltgate-sha256$")
    code, out, err = chargers("add", "CP4", "--password", "short", "--json")
    assert (code, json.loads(out)) == (0, {"identity": "CP4", "password": "short"})
    assert "OCPP requires passwords of 16" in err


WRONG = [
    (["add", "a:b"], 2, "identity", "no legal identity"),
    (["add", ""], 2, "identity", "likewise"),
    (["add", "CP", "--quirk", "no_such"], 2, "quirks", "an unknown quirk"),
    (["add", "CP", "--validation", "loose"], 2, "validation", "an unknown level"),
    (["add", "CP", "--version", "1.5"], 2, "1.6, 2.0.1, 2.1", "an unknown version"),
    (["add", "CP", "--password", ""], 2, "password is empty", "no password at all"),
    (["show", "CP"], 1, "no such charger", "not there"),
    (["disable", "CP"], 1, "no such charger", "not there"),
    (["remove", "CP"], 1, "no such charger", "not there"),
    (["import", "absent.csv"], 2, "absent.csv", "no such file"),
]


@pytest.mark.parametrize(("arguments", "code", "told", "why"), WRONG, ids=[" ".join(w[0]) for w in WRONG])
def test_invalid_arguments_are_reported(
    chargers: Run, arguments: list[str], code: int, told: str, why: str
) -> None:
    got, out, err = chargers(*arguments)
    assert (got, out) == (code, ""), why
    assert told in err, why


def test_a_charger_is_added_once_and_again_when_it_was_removed(chargers: Run) -> None:
    assert chargers("add", "CP1")[0] == 0
    code, out, err = chargers("add", "CP1")
    assert (code, out) == (1, "")
    assert "CP1 has a record: for a new key run `voltgate chargers set CP1 --new-key" in err
    assert chargers("remove", "CP1") == (0, "", "")
    assert chargers("list")[1].splitlines()[1:] == []
    assert chargers("remove", "CP1")[0] == 1
    assert chargers("add", "CP1")[0] == 0


def test_names_that_differ_in_case_only_are_pointed_out(chargers: Run) -> None:
    assert chargers("add", "cp1")[2] == ""
    assert "CP1 and cp1 differ only in letter case" in chargers("add", "CP1")[2]


def test_disable_and_enable_leave_the_rest_as_it_is(chargers: Run, kept: Kept, on_nats: OnNats) -> None:
    async def write(client: Client) -> None:
        bucket = await client.jetstream().key_value("ocpp_chargers")
        await bucket.put("CP1", b'{"enabled":true,"versions":["v16"],"of_a_newer_release":1}')

    on_nats(write)
    assert chargers("disable", "CP1") == (0, "", "")
    assert kept("CP1") == {"enabled": False, "versions": ["v16"], "of_a_newer_release": 1}
    assert chargers("list")[1].splitlines()[1].split("\t")[:2] == ["CP1", "disabled"]
    assert chargers("enable", "CP1") == (0, "", "")
    assert kept("CP1")["enabled"] is True


def test_import_prints_the_keys_it_made_and_passes_over_what_is_there(
    chargers: Run, kept: Kept, tmp_path: Path
) -> None:
    chargers("add", "CP1")
    file = tmp_path / "fleet.csv"
    file.write_text(
        "identity,password,versions,quirks,enabled\n"
        "CP1,,,,\n"
        '"CP 2, west",,1.6 2.0.1,no_ping half_duplex,\n'
        "CP3,a password of its own,,,false\n"
        "cp1,,,,\n"
    )
    code, out, err = chargers("import", file)
    lines = out.splitlines()
    assert (code, len(lines)) == (0, 2), "keys of those that had none"
    assert lines[0].startswith('"CP 2, west",')
    assert len(lines[1].removeprefix("cp1,")) == 40
    assert "3 added, 1 already had a record" in err
    assert "cp1 and CP1 differ only in letter case" in err
    west = kept("CP=202=2C=20west")
    assert (west["versions"], sorted(west["quirks"])) == (["v16", "v201"], ["half_duplex", "no_ping"])
    third = kept("CP3")
    assert third["enabled"] is False
    assert third["password_hashes"][0].startswith("$argon2id$")
    assert chargers("import", file, "--json")[:2] == (0, ""), "run again, it adds nothing"


WRONG_FILES = [
    ("CP1\nCP2\n", ":1: the first line must name the columns", "no header"),
    ("identity,colour\nCP1,red\n", ":1: the first line must name the columns", "an unknown column"),
    ("identity\nCP1\na:b\n", ":3: ", "no legal identity"),
    ("identity\nCP1\nCP1\n", ":3: CP1 appears twice", "twice"),
    ("identity,enabled\nCP1,perhaps\n", ":2: enabled: must be true or false", "no truth value"),
    ("identity,security_profile\nCP1,4\n", ":2: security_profile: must be 1, 2 or 3", "no profile"),
    ("identity,versions\nCP1,1.5\n", ":2: ", "an unknown version"),
    ("identity,quirks\nCP1,\nCP2,odd\n", ":3: quirks", "an unknown quirk"),
    ("identity\nCP1,x\n", ":2: more cells than columns", "more cells than columns"),
]


@pytest.mark.parametrize(("text", "told", "why"), WRONG_FILES, ids=[why for *_, why in WRONG_FILES])
def test_a_wrong_file_is_refused_as_a_whole(
    chargers: Run, tmp_path: Path, text: str, told: str, why: str
) -> None:
    file = tmp_path / "fleet.csv"
    file.write_text(text)
    code, out, err = chargers("import", file)
    assert (code, out) == (2, ""), why
    assert f"{file}{told}" in err, why
    assert len(chargers("list")[1].splitlines()) == 1, "nothing was written"


def test_a_registry_that_is_missing_is_named(
    nats_server: NatsServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "voltgate.toml"
    file.write_text(f"[nats]\nurl='{nats_server.url}'\nstream_prefix='NONE'\n")
    for command in ("list", "online"):
        assert main(["chargers", command, "--config", str(file)]) == 1
        assert "run `voltgate streams apply" in capsys.readouterr().err


def link(identity: str, state: str) -> bytes:
    return json.dumps(
        {"state": state, "identity": identity, "version": "v16", "gateway": "g", "remote": "r", "at": "t"}
    ).encode()


async def tell(client: Client, identity: str, state: str) -> None:
    await client.jetstream().publish(f"ocpp.link.{identity}", link(identity, state))


def test_online_lists_connected_chargers_and_watches_changes(
    chargers: Run, config: Path, on_nats: OnNats, start: Start
) -> None:
    async def some(client: Client) -> None:
        for identity, state in (("A", "up"), ("B", "up"), ("C", "up"), ("B", "down")):
            await tell(client, identity, state)

    on_nats(some)
    code, out, _ = chargers("online")
    assert (code, [line.split("\t")[:2] for line in out.splitlines()[1:]]) == (0, [["up", "A"], ["up", "C"]])
    lines = [json.loads(line) for line in chargers("online", "--json")[1].splitlines()]
    assert [(one["identity"], one["state"]) for one in lines] == [("A", "up"), ("C", "up")]

    watching = start("chargers", "online", "--watch", "--config", str(config))
    watching.until(lambda: "up\tC" in watching.out, "the present")
    on_nats(lambda client: tell(client, "C", "down"))
    watching.until(lambda: "down\tC" in watching.out, "what happens")


def test_no_identity_steers_the_terminal(chargers: Run, on_nats: OnNats) -> None:
    """U+202E turns the rest of a line round, and is legal in an identity."""
    chargers("add", "evil\u202e", "--json")
    on_nats(lambda client: tell(client, "evil\u202e", "up"))
    for command in ("list", "online"):
        out = chargers(command)[1]
        assert ("\\u202e" in out, "\u202e" in out) == (True, False)


# kick


@pytest.fixture
def answering(
    nats_server: NatsServer, chargers: Run
) -> Callable[[str, bytes | None], Callable[..., tuple[int, str, str]]]:
    """Run a command while requests on ``subject`` are answered with ``body``, or not answered."""

    def during(subject: str, body: bytes | None) -> Callable[..., tuple[int, str, str]]:
        async def run(*arguments: str) -> tuple[int, str, str]:
            client = await nats.connect(nats_server.url)
            heard: list[bytes] = []

            async def respond(message: Msg) -> None:
                heard.append(message.data)
                if body is not None:
                    await message.respond(body)

            await client.subscribe(subject, cb=respond)
            await client.flush()
            told = await asyncio.to_thread(chargers, *arguments)
            await client.close()
            assert heard == [b""]
            return told

        return lambda *arguments: asyncio.run(run(*arguments))

    return during


KICKED = b'{"session":"s1","gateway":"g1"}'


def test_kick_prints_the_session_that_was_ended(answering: Any) -> None:
    run = answering("ocpprpc.link.kick.CP=201", KICKED)
    assert run("kick", "CP 1") == (0, "", "voltgate: CP 1: session s1 on g1 is ended\n")
    code, out, _ = run("kick", "CP 1", "--json")
    assert (code, json.loads(out)) == (0, {"identity": "CP 1", "session": "s1", "gateway": "g1"})


def test_kick_of_a_charger_that_is_not_connected(chargers: Run) -> None:
    assert chargers("kick", "CP1") == (1, "", "voltgate: CP1 is not connected\n")
    assert chargers("kick", "a:b")[0] == 2, "no legal identity"


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (None, "did not answer in 0.3 s"),
        (b"\x1b[31m", "not from a Voltgate gateway"),
        (b"[]", "not from a Voltgate gateway"),
        (b"{}", "not from a Voltgate gateway"),
    ],
)
def test_kick_that_is_not_answered_as_expected_is_one_line(
    answering: Any, monkeypatch: pytest.MonkeyPatch, body: bytes | None, told: str
) -> None:
    monkeypatch.setattr("voltgate.cli.chargers.kick.PATIENCE", 0.3)
    code, out, err = answering("ocpprpc.link.kick.CP1", body)("kick", "CP1")
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert told in err
    assert "\x1b" not in err


# set


def test_set_changes_only_the_given_fields(chargers: Run, kept: Kept) -> None:
    chargers("add", "CP1", "--quirk", "no_ping", "--version", "1.6", "--cn", "SN-7")
    hashes = kept("CP1")["password_hashes"]

    def record() -> Any:
        shown = kept("CP1")
        assert shown.pop("enabled") is True
        return shown

    assert chargers("set", "CP1", "--add-quirk", "half_duplex", "--validation", "lenient") == (0, "", "")
    rest = {"password_hashes": hashes, "certificate_cn": "SN-7"}
    assert record() == rest | {
        "quirks": ["half_duplex", "no_ping"], "validation": "lenient", "versions": ["v16"],
    }  # fmt: skip
    changes = ["--remove-quirk", "no_ping", "--version", "2.1", "--profile", "2", "--unset", "validation"]
    assert chargers("set", "CP1", *changes)[0] == 0
    assert record() == rest | {"quirks": ["half_duplex"], "versions": ["v21"], "security_profile": 2}
    assert chargers("set", "CP1", "--unset", "quirk", "--unset", "profile", "--unset", "version")[0] == 0
    assert record() == rest


def test_set_gives_a_charger_one_password_again(
    chargers: Run, kept: Kept, on_nats: OnNats, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def write(client: Client) -> None:
        bucket = await client.jetstream().key_value("ocpp_chargers")
        await bucket.put("CP1", b'{"enabled":true,"password_hashes":["a","b"],"password_change":"sent"}')

    on_nats(write)
    monkeypatch.setattr("sys.stdin", io.StringIO("chosen by a person\n"))
    assert chargers("set", "CP1", "--password", "-") == (0, "", "")
    record = kept("CP1")
    (hash_,) = record["password_hashes"]
    assert PasswordHasher().verify(hash_, "chosen by a person")
    assert "password_change" not in record


def new_key(chargers: Run, *options: str) -> tuple[str, str]:
    """The key that ``set --new-key`` printed, and what it said."""
    code, out, err = chargers("set", "CP1", "--new-key", *options)
    assert (code, out.count("\n")) == (0, 1)
    return json.loads(out)["password"] if "--json" in options else out.strip(), err


def test_a_new_key_passes_beside_the_old_password_and_replaces_one_that_was_never_used(
    chargers: Run, kept: Kept
) -> None:
    chargers("add", "CP1")
    (old,) = kept("CP1")["password_hashes"]
    key, said = new_key(chargers)
    record = kept("CP1")
    assert (record["password_hashes"][0], record["password_change"]) == (old, "new_key")
    assert fast_of(record["password_hashes"][1], key)
    assert "the old password passes too, until it logs in with the new key" in said
    again, said = new_key(chargers, "--json", "--add-quirk", "no_ping")
    record = kept("CP1")
    assert (record["password_hashes"][0], len(record["password_hashes"])) == (old, 2)
    assert fast_of(record["password_hashes"][1], again)
    assert "the new key made before, which has not logged in, no longer passes" in said
    assert record["quirks"] == ["no_ping"]
    assert key not in json.dumps(record) + chargers("show", "CP1")[1]


def fast_of(hash_: str, key: str) -> bool:
    """docs/reference.md, "The registry": a generated key is hashed as the bytes its digits spell."""
    _, kind, salt, digest = hash_.split("$")
    return kind == "voltgate-sha256" and digest == sha256(bytes.fromhex(salt + key)).hexdigest()


def test_a_new_key_is_the_only_one_where_there_was_none(chargers: Run, kept: Kept) -> None:
    key, said = new_key(chargers, "--create")
    record = kept("CP1")
    assert fast_of(record["password_hashes"][0], key)
    assert (len(record["password_hashes"]), "password_change" in record, said) == (1, False, "")


@pytest.mark.parametrize("change", [None, "sent", "at_reboot"])
def test_no_new_key_where_it_is_not_known_which_of_two_passwords_is_in_force(
    chargers: Run, kept: Kept, on_nats: OnNats, change: str | None
) -> None:
    record = {"enabled": True, "password_hashes": ["a", "b"], "password_change": change}
    on_nats(lambda client: put(client, "CP1", record))
    code, out, err = chargers("set", "CP1", "--new-key")
    assert (code, out, kept("CP1")) == (1, "", record)
    assert "two passwords are kept" in err
    assert chargers("set", "CP1", "--new-key", "--password", "x")[0] == 2


def test_changes_are_printed_as_json(chargers: Run) -> None:
    chargers("add", "CP1")
    shown = json.loads(chargers("show", "CP1", "--json")[1])
    for command, change in (
        (["set", "CP1", "--version", "1.6"], {"versions": ["v16"]}),
        (["disable", "CP1"], {"state": "disabled"}),
        (["enable", "CP1"], {"state": "enabled"}),
    ):
        code, out, _ = chargers(*command, "--json")
        shown |= change
        assert (code, json.loads(out)) == (0, shown)
    code, out, _ = chargers("remove", "CP1", "--json")
    assert (code, json.loads(out)) == (0, {"identity": "CP1"})


def test_set_makes_a_record_where_it_is_told_to(chargers: Run, kept: Kept) -> None:
    code, _, err = chargers("set", "NEW", "--add-quirk", "latin1")
    assert (code, "--create makes a record of NEW" in err) == (1, True)
    assert chargers("set", "NEW", "--create", "--add-quirk", "latin1", "--version", "1.6") == (0, "", "")
    assert kept("NEW") == {"enabled": True, "quirks": ["latin1"], "versions": ["v16"]}
    assert chargers("set", "NEW", "--create", "--remove-quirk", "latin1") == (0, "", "")
    assert kept("NEW") == {"enabled": True, "versions": ["v16"]}


WRONG_SETTINGS = [
    (["CP1"], 2, "nothing to set"),
    (["CP1", "--add-quirk", "nope"], 2, "nope is not one of half_duplex, abort_close, no_ping"),
    (["a:b", "--create", "--add-quirk", "no_ping"], 2, "identity"),
    (["CP1", "--remove-quirk", "no_such"], 2, "no_such"),
    (["CP1", "--validation", "loose"], 2, "validation"),
    (["CP1", "--unset", "enabled"], 2, "--unset"),
    (["CP1", "--password", ""], 2, "password is empty"),
    (["CP2", "--add-quirk", "no_ping"], 1, "no such charger"),
]


@pytest.mark.parametrize(("arguments", "code", "told"), WRONG_SETTINGS)
def test_invalid_settings_are_reported_and_change_nothing(
    chargers: Run, kept: Kept, arguments: list[str], code: int, told: str
) -> None:
    chargers("add", "CP1")
    before = kept("CP1")
    got, out, err = chargers("set", *arguments)
    assert (got, out) == (code, "")
    assert told in err
    assert kept("CP1") == before
