"""``voltgate chargers export`` and ``restore`` against a real registry."""

import io
import json
from pathlib import Path
from typing import Any

import pytest
from nats.aio.client import Client

from cli.chargers.book import Kept, OnNats, Run, put

pytestmark = pytest.mark.usefixtures("clean_environment", "own_logs")

FLEET: dict[str, Any] = {
    "CP 1": {"enabled": True, "password_hashes": ["$voltgate-sha256$00$00"], "quirks": ["no_ping"]},
    "CP\u202e": {"enabled": False, "of_a_newer_release": {"a": 1}},
}


def lines(fleet: dict[str, Any]) -> str:
    return "".join(json.dumps({"identity": name} | record) + "\n" for name, record in fleet.items())


def test_what_was_exported_is_restored_once(
    chargers: Run, kept: Kept, on_nats: OnNats, tmp_path: Path
) -> None:
    file = tmp_path / "registry.jsonl"
    file.write_text(lines(FLEET))
    dry = chargers("restore", file, "--dry-run", "--json")
    assert dry[:2] == (0, '{"added":2,"changed":0,"unchanged":0}\n')
    assert chargers("export") == (0, "", ""), "nothing was written"
    assert chargers("restore", file) == (0, "", "voltgate: 2 added, 0 changed, 0 unchanged\n")
    assert kept("CP=201") == FLEET["CP 1"]
    code, out, err = chargers("export")
    assert (code, err) == (0, "")
    assert {row.pop("identity"): row for row in map(json.loads, out.splitlines())} == FLEET
    file.write_text(out)

    async def revision(client: Client) -> int:
        return (await client.jsm().stream_info("KV_ocpp_chargers")).state.last_seq

    before = on_nats(revision)
    assert "0 added, 0 changed, 2 unchanged" in chargers("restore", file)[2]
    assert on_nats(revision) == before, "no connected charger notices"
    chargers("set", "CP 1", "--validation", "off")
    chargers("remove", "CP\u202e")
    chargers("add", "CP3")
    assert "1 added, 1 changed, 0 unchanged" in chargers("restore", file)[2]
    assert kept("CP=201") == FLEET["CP 1"]
    assert chargers("show", "CP3")[0] == 0, "records of other chargers stay"


def test_a_backup_goes_from_one_registry_to_another_by_a_pipe(
    chargers: Run, monkeypatch: pytest.MonkeyPatch, kept: Kept
) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(lines(FLEET).encode())))
    assert chargers("restore", "-")[0] == 0
    assert kept("CP=201") == FLEET["CP 1"]


WRONG_LINES = [
    ("nonsense", "not a JSON object"),
    ("[]", "not a JSON object"),
    ('{"enabled":true}', "no identity"),
    ('{"identity":1,"enabled":true}', "no identity"),
    ('{"identity":"a:b","enabled":true}', "'a:b': an identity has 1 to 48 characters"),
    ('{"identity":"CP2"}', "enabled: "),
    ('{"identity":"CP2","enabled":true,"password_hashes":["secret","b","c"]}', "password_hashes: "),
    ('{"identity":"CP 1","enabled":true}', "CP 1 appears twice"),
]


@pytest.mark.parametrize(("line", "told"), WRONG_LINES, ids=[line for line, _ in WRONG_LINES])
def test_a_backup_with_a_wrong_line_is_refused_as_a_whole(
    chargers: Run, tmp_path: Path, line: str, told: str
) -> None:
    file = tmp_path / "registry.jsonl"
    file.write_text(f"{lines(FLEET)}\n{line}\n")
    code, out, err = chargers("restore", file)
    assert (code, out) == (1, "")
    assert f"{file}:4: {told}" in err
    assert "secret" not in err
    assert chargers("export")[1] == "", "nothing was written"


def test_a_backup_that_is_not_there(chargers: Run) -> None:
    assert chargers("restore", "absent.jsonl") == (
        2,
        "",
        "voltgate: absent.jsonl: No such file or directory\n",
    )


def test_records_that_cannot_be_used_are_named_by_export(chargers: Run, on_nats: OnNats) -> None:
    async def some(client: Client) -> None:
        for key, record in (("A", b"nonsense"), ("B", {"enabled": "perhaps"}), ("C", {"enabled": True})):
            await put(client, key, record)

    on_nats(some)
    code, out, err = chargers("export")
    assert [json.loads(line)["identity"] for line in out.splitlines()] == ["B", "C"]
    assert (code, err.count("its record cannot be used")) == (1, 2)
    assert "perhaps" not in err
