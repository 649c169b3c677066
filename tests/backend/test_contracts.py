"""Answers with contract certificates, found by the name of the vehicle in its request."""

from base64 import b64encode
from pathlib import Path

import pytest

from voltgate.backend.answers import Backend, Question
from voltgate.backend.contracts import Contracts, shifts
from voltgate.backend.rules import Rules
from voltgate.backend.tokens import Tokens

PCID = "WMIV1234567890ABCD"


def request(name: str, shift: int = 0) -> str:
    """An EXI message with a name in it that begins at some bit."""
    bits = int.from_bytes(b"\x80\x98" + name.encode() + b"\x00" * 4) >> shift
    return b64encode(bits.to_bytes(len(name) + 6)).decode()


def test_a_message_is_searched_from_each_bit_on() -> None:
    assert shifts(b"\x01\x80")[:2] == [b"\x01\x80", b"\x00\xc0"]
    assert len(shifts(b"")) == 8


@pytest.mark.parametrize("shift", range(8))
def test_a_name_is_found_wherever_it_begins(tmp_path: Path, shift: int) -> None:
    (tmp_path / f"{PCID}.exi").write_bytes(b"\x80answer")
    (tmp_path / "WMIV.exi").write_bytes(b"another")
    contracts = Contracts(tmp_path)
    assert contracts.answer("v201", request(PCID, shift)) == b64encode(b"\x80answer").decode(), "the longest"
    assert contracts.answer("v201", request("XXIV1234567890ABCD", shift)) is None


@pytest.mark.parametrize(
    ("size", "version", "fits"),
    [(5625, "v201", True), (5626, "v201", False), (5626, "v21", True), (0, "v21", False)],
)
def test_an_answer_must_fit_its_version(tmp_path: Path, size: int, version: str, fits: bool) -> None:
    (tmp_path / f"{PCID}.exi").write_bytes(b"x" * size)
    assert (Contracts(tmp_path).answer(version, request(PCID)) is not None) is fits


def test_a_folder_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(NotADirectoryError):
        Contracts(tmp_path / "absent")
    assert Contracts(tmp_path).answer("v201", "not base64!") is None


@pytest.mark.parametrize("version", ["v201", "v21"])
@pytest.mark.parametrize("action", ["Install", "Update"])
async def test_the_answer_to_a_charger(tmp_path: Path, version: str, action: str) -> None:
    async def never(key: str) -> int:
        raise AssertionError(key)

    (tmp_path / f"{PCID}.exi").write_bytes(b"answer")
    asked = {"iso15118SchemaVersion": "urn:iso:15118:2:2013:MsgDef", "action": action}
    backend = Backend(Tokens(), never, Rules(contracts=Contracts(tmp_path)))
    found = [
        await backend.answer(
            Question(version, "Get15118EVCertificate", "A", "k", asked | {"exiRequest": request(name)})
        )
        for name in (PCID, "STRANGER")
    ]
    accepted = {"status": "Accepted", "exiResponse": b64encode(b"answer").decode()}
    assert found == [accepted, {"status": "Failed", "exiResponse": ""}]
