"""The file of boots, by table; pending chargers over a gateway are in tests/e2e/test_certified.py."""

from pathlib import Path

import orjson
import pytest

from voltgate import Codec
from voltgate.backend.answers import Backend, Question
from voltgate.backend.boots import ASKED, Boot, Boots
from voltgate.backend.rules import Rules
from voltgate.backend.tokens import Tokens
from voltgate.schemas import SUBPROTOCOLS

BOOTS = [
    ("A", Boot("Pending", 30), "with its interval"),
    ("B", Boot("Rejected", 60), "a minute, where the line has no interval"),
    ("C=201", Boot("Accepted"), "percent-encoded, and excepted from *"),
    ("D", Boot("Pending", 5), "any other"),
]


@pytest.mark.parametrize(("token", "boot", "why"), BOOTS)
def test_the_file_decides(tmp_path: Path, token: str, boot: Boot, why: str) -> None:
    file = tmp_path / "boots.txt"
    file.write_text("A Pending 30\nB Rejected\nC%201 Accepted\n* Pending 5\n")
    assert Boots(file).of(token) == boot, why
    file.write_text("A Pending 30\n")
    assert Boots(file).of("D") == Boot(), "without a line a charger is accepted"


@pytest.mark.parametrize("line", ["A", "A Perhaps", "A Pending soon", "A Pending 1 2", "A Pending -1"])
def test_a_wrong_line_is_named(tmp_path: Path, line: str) -> None:
    file = tmp_path / "boots.txt"
    file.write_text(f"{line}\n")
    with pytest.raises(ValueError, match=r"boots\.txt:1: "):
        Boots(file)


@pytest.mark.parametrize("version", SUBPROTOCOLS)
async def test_the_answer_to_a_boot(tmp_path: Path, version: str) -> None:
    async def never(key: str) -> int:
        raise AssertionError(key)

    file, found = tmp_path / "boots.txt", []
    file.write_text("A Pending 30\nB Rejected\n")
    backend = Backend(Tokens(), never, Rules(interval=120, boots=Boots(file)))
    for token in ("A", "B", "C"):
        answer = await backend.answer(Question(version, "BootNotification", token, "k", {}))
        found.append((answer["status"], answer["interval"]))
    assert found == [("Pending", 30), ("Rejected", 60), ("Accepted", 120)]


@pytest.mark.parametrize("version", SUBPROTOCOLS)
def test_what_a_pending_charger_is_asked_for_is_a_valid_request(version: str) -> None:
    action, body = ASKED[version]
    assert Codec(SUBPROTOCOLS[version]).check(action, "request", orjson.dumps(body)) is None
