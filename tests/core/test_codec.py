"""The codec as Python sees it, held to the vectors that ``rust/core/tests/codec.rs`` reads too."""

import copy
import json
import pickle
import random
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, get_args

import pytest

import voltgate
from voltgate import _core, config
from voltgate.gateway.reasons import Refusal
from voltgate.policy import rules
from voltgate.schemas import SUBPROTOCOLS, Codec, schema_files
from voltgate.schemas import VERSIONS as SERVED

VECTORS = Path(__file__).parent.parent / "vectors"
VERSIONS = list(SUBPROTOCOLS)
CODES = json.loads((VECTORS / "codec_codes.json").read_text())


def codec(version: str) -> Codec:
    return Codec(SUBPROTOCOLS[version])


def cases(name: str) -> list[Any]:
    rows = json.loads((VECTORS / name).read_text())
    return [
        pytest.param(version, row, id=f"{version}: {row['is']}")
        for row in rows
        for version in row.get("on", VERSIONS)
    ]


def spelled(version: str, expected: list[str] | None) -> tuple[str, str] | None:
    return (CODES[expected[0]][version], expected[1]) if expected else None


def seen(violation: _core.Violation | None) -> tuple[str, str] | None:
    return (violation.code, violation.pointer) if violation else None


@pytest.mark.parametrize(("version", "row"), cases("codec_frames.json"))
def test_frames_are_taken_apart_and_judged(version: str, row: dict[str, Any]) -> None:
    raw = bytes.fromhex(row["hex"]) if "hex" in row else row["frame"].encode()
    frame = codec(version).decode(raw, row.get("sender", "charger"))
    assert (frame.type, frame.message_id, frame.action) == (row.get("type"), row.get("id"), row.get("action"))
    assert frame.known is row.get("known", False)
    assert frame.payload == row.get("payload", "").encode()
    assert (frame.code, frame.description) == (row.get("code"), row.get("description"))
    assert seen(frame.violation) == spelled(version, row.get("violation"))
    assert seen(frame.fatal) == spelled(version, row.get("fatal"))
    assert frame.is_text is row.get("text", True)
    assert frame.has_id_token is row.get("id_token", False)


@pytest.mark.parametrize(("version", "row"), cases("codec_payloads.json"))
def test_payloads_are_judged(version: str, row: dict[str, Any]) -> None:
    verdict = codec(version).check(row["action"], row["kind"], row["payload"].encode())
    assert seen(verdict) == spelled(version, row.get("violation"))


@pytest.mark.parametrize("row", json.loads((VECTORS / "codec_formats.json").read_text()), ids=str)
def test_formats_follow_their_rfc(row: dict[str, Any]) -> None:
    payload = {
        "date-time": '{"location":"a:b","retrieveDate":"%s"}',
        "uri": '{"location":"%s","retrieveDate":"2025-01-01T00:00:00Z"}',
    }[row["format"]] % row["text"]
    verdict = codec("v16").check("UpdateFirmware", "request", payload.encode())
    assert (verdict is None) is row["valid"]


def test_reasons_name_the_schema_and_never_the_value() -> None:
    """What a charger sent may be an idToken or a password: reasons must be fit for logs."""
    for version in VERSIONS:
        for row in json.loads((VECTORS / "codec_frames.json").read_text()):
            if "frame" in row:
                secret = row["frame"].replace('"1"', '"secretvalue"').replace('"a"', '"secretvalue"')
                violation = codec(version).decode(secret.encode()).violation
                assert violation is None or "secretvalue" not in violation.reason
    missing = codec("v16").check("Authorize", "request", b"{}")
    assert missing is not None
    assert "idTag" in missing.reason


def test_known_actions_are_interned_strings() -> None:
    """One string per action, not one per frame."""
    for text in ("Heartbeat", "Heartbeat-Signed"):
        raw = f'[2,"1","{text}",{{}}]'.encode()
        first, second = codec("v21").decode(raw).action, codec("v21").decode(raw).action
        assert first is second
        assert first == text


def test_the_payload_is_the_original_bytes() -> None:
    """Escapes, spaces and order survive: nothing is ever re-encoded."""
    payload = '{ "data" : "\\u0041\\/" , "vendorId":"ä"}'.encode()
    frame = codec("v16").decode(b'[2,"1","DataTransfer",' + payload + b"]")
    assert frame.violation is None
    assert frame.payload == payload


def test_latin1_is_a_second_reading_of_what_is_not_utf_8() -> None:
    codec, text = Codec("ocpp1.6"), '[2,"1","Authorize",{"idTag":"T\u00fcr \u00a9"}]'
    frame = codec.decode(text.encode("latin-1"), latin1=True)
    assert (frame.raw, frame.latin1, frame.is_text, frame.violation) == (text.encode(), True, True, None)
    assert frame.payload == text.encode()[19:-1]
    sound = codec.decode(text.encode(), latin1=True)
    assert (sound.raw, sound.latin1) == (text.encode(), False)
    refused = codec.decode(text.encode("latin-1"))
    assert (refused.latin1, refused.is_text) == (False, False)


def test_only_our_own_mistakes_raise() -> None:
    """TypeError and ValueError are for callers; chargers get violations."""
    for wrong in ("frame", bytearray(b"[]"), None, 5):
        with pytest.raises(TypeError):
            codec("v16").decode(wrong)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="sender"):
        codec("v16").decode(b"[]", "both")
    with pytest.raises(ValueError, match="kind"):
        codec("v16").check("Heartbeat", "send", b"{}")
    for function in (_core.actions, _core.error_codes):
        with pytest.raises(ValueError, match=r"^unknown version: expected v16, v201 or v21$"):
            function("ocpp1.6")
    with pytest.raises(ValueError, match=r"^unknown version: expected v16, v201 or v21$"):
        _core.Codec("ocpp1.6", [])
    with pytest.raises(ValueError, match=r"unknown subprotocol 'ocpp1\.5'"):
        Codec("ocpp1.5")
    with pytest.raises(TypeError):
        Codec(5)  # type: ignore[arg-type]


def test_any_bytes_have_an_answer() -> None:
    """Random damage to good frames: never an exception, and the payload stands in the frame."""
    dice = random.Random(16)
    good = [
        row["frame"].encode()
        for row in json.loads((VECTORS / "codec_frames.json").read_text())
        if "frame" in row
    ]
    for _ in range(5000):
        raw = bytearray(dice.choice(good))
        for _ in range(dice.randrange(4)):
            place = dice.randrange(len(raw) + 1)
            raw[place : place + dice.randrange(3)] = dice.randbytes(dice.randrange(3))
        for version in VERSIONS:
            frame = codec(version).decode(bytes(raw))
            assert frame.fatal is None or frame.violation is not None
            assert frame.payload in bytes(raw) or frame.payload == b"{}"


@pytest.mark.parametrize("version", VERSIONS)
def test_a_codec_has_its_version_and_subprotocol(version: str) -> None:
    """The number of actions; at most the schema nodes there are without sharing equal ones.

    See docs/contract.md 5.
    """
    limit = {"v16": (39, 161), "v201": (64, 543), "v21": (91, 1082)}[version]
    assert len(_core.actions(version)) == limit[0]
    assert 0 < codec(version).nodes <= limit[1]
    assert (codec(version).version, codec(version).subprotocol) == (version, SUBPROTOCOLS[version])
    assert codec(version) is codec(version)


def test_codes_keep_each_versions_spelling() -> None:
    """docs/ocpp.md A15: foreign spellings are understood, only the version's own is used."""
    assert [len(_core.error_codes(version)) for version in VERSIONS] == [10, 12, 12]
    for version in VERSIONS:
        own = _core.error_codes(version)
        assert own == sorted(own)
        assert [_core.error_code(version, code) for code in own] == own
        everyones = {code for other in VERSIONS for code in _core.error_codes(other)}
        assert all(_core.error_code(version, code) in own for code in everyones)
        assert _core.error_code(version, "OccurenceConstraintViolation") == CODES["Occurrence"][version]
        assert _core.error_code(version, "FormatViolation") == CODES["Formation"][version]
        assert _core.error_code(version, "Nonsense") is None
        assert _core.error_code(version, "genericerror") is None


REFUSED = [
    ('{"type":"string","pattern":"a"}', "#/properties/x: unknown keyword pattern"),
    ('{"type":"string","format":"email"}', "#/properties/x: an unknown format"),
    ('{"type":"string","enum":["a"],"maxLength":3}', "more than one of enum, maxLength and format"),
    ('{"type":"string","enum":[1]}', "enum is not a list of strings"),
    ('{"type":["string","null"]}', "an unknown type"),
    ('{"type":"integer","multipleOf":2}', "unknown keyword multipleOf"),
    ('{"type":"integer","minimum":0.5}', "minimum of an integer is not an integer"),
    ('{"type":"number","multipleOf":0.25}', "multipleOf may only be 0.1"),
    ('{"type":"array"}', "an array without items"),
    ('{"type":"array","items":[{"type":"string"}]}', "#/properties/x/items: not a schema object"),
    (
        '{"type":"object","additionalProperties":{"type":"string"}}',
        "additionalProperties may only be true or false",
    ),
    ('{"type":"object","required":["y"]}', "required names y, which is not a property"),
    ('{"oneOf":[]}', "unknown keyword oneOf"),
    ('{"$ref":"other.json"}', "$ref does not lead to one of the file's definitions"),
    ('{"$ref":"#/definitions/Loop"}', "a definition that contains itself"),
]


@pytest.mark.parametrize(("schema", "reason"), REFUSED)
def test_schema_keywords_that_the_compiler_does_not_know_are_refused(schema: str, reason: str) -> None:
    """A new schema package is never under-validated in silence: file, place and cause are named."""
    loop = '{"type":"object","properties":{"a":{"$ref":"#/definitions/Loop"}}}'
    file = (
        f'{{"$schema":"http://json-schema.org/draft-06/schema#","definitions":{{"Loop":{loop}}},'
        f'"type":"object","properties":{{"x":{schema}}}}}'
    )
    files = [(name, file.encode() if name == "ResetRequest" else text) for name, text in schema_files("v201")]
    with pytest.raises(ValueError, match=r"^schema ResetRequest\.json#") as refusal:
        _core.Codec("v201", files)
    assert reason in str(refusal.value)


def test_every_action_has_its_files_and_every_file_its_action() -> None:
    files = schema_files("v16")
    with pytest.raises(ValueError, match="schema files of Reset are missing"):
        _core.Codec("v16", [file for file in files if file[0] != "ResetResponse"])
    with pytest.raises(ValueError, match=r"schema Strange\.json belongs to no action"):
        _core.Codec("v16", [*files, ("Strange", dict(files)["Reset"])])
    with pytest.raises(ValueError, match=r"schema Reset\.json: not JSON"):
        _core.Codec("v16", [("Reset", b"{")])
    with pytest.raises(ValueError, match="neither draft-04 nor draft-06"):
        _core.Codec("v16", [("Reset", b"{}")])


def test_one_instance_whatever_thread_asks_first_and_however_it_is_copied() -> None:
    program = (
        "from concurrent.futures import ThreadPoolExecutor as P; from voltgate import Codec;"
        "made = list(P(16).map(Codec, ['ocpp2.1'] * 64)); print(len(set(map(id, made))))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "1\n"
    one = Codec("ocpp1.6")
    assert pickle.loads(pickle.dumps(one)) is copy.deepcopy(one) is copy.copy(one) is one


def test_a_codec_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        Codec("ocpp1.6").version = "v21"  # type: ignore[misc]
    with pytest.raises(AttributeError):
        Codec("ocpp1.6").mine = 1  # type: ignore[attr-defined]


@pytest.mark.parametrize("size", [0, 110, 111, 65_520, 65_530, 200_000])
def test_the_text_of_a_frame_is_the_frame_without_its_header(size: int) -> None:
    own, payload = Codec("ocpp2.1"), b"9" * size
    pairs = [
        (own.encode_call("1", "A", payload), own.encode_call("1", "A", payload, websocket=False)),
        (own.encode_result("1", payload), own.encode_result("1", payload, websocket=False)),
        (own.encode_error("1", "A", "b"), own.encode_error("1", "A", "b", websocket=False)),
        (own.encode_result_error("1", "A", "b"), own.encode_result_error("1", "A", "b", websocket=False)),
    ]
    for frame, text in pairs:
        assert text.startswith(b"[")
        assert frame.endswith(text)
        assert len(frame) - len(text) == (2 if len(text) < 126 else 4 if len(text) < 65_536 else 10)


@pytest.mark.parametrize("size", [0, 100, 125, 126, 127, 65535, 65536, 200_000])
def test_results_carry_their_websocket_header(size: int) -> None:
    """RFC 6455 §5.2, all three forms of the length, at their borders."""
    text = b'[3,"1",' + b"9" * size + b"]"
    frame = codec("v16").encode_result("1", b"9" * size)
    short = bytes([0x81, len(text)]) if len(text) < 126 else b""
    medium = b"\x81\x7e" + len(text).to_bytes(2) if len(text) < 65536 else b""
    assert frame == (short or medium or b"\x81\x7f" + len(text).to_bytes(8)) + text


def test_everything_we_send_reads_back() -> None:
    """Ids, codes and descriptions are escaped; payloads go out as they are."""
    strange = 'a"\\\n\0ä😀\x7f'
    twenty_one = codec("v21")
    rows = [
        (twenty_one.encode_call(strange, "Reset", b'{"a" : 1}'), [2, strange, "Reset", {"a": 1}]),
        (twenty_one.encode_result(strange, b"{}"), [3, strange, {}]),
        (
            twenty_one.encode_error(strange, "GenericError", strange),
            [4, strange, "GenericError", strange, {}],
        ),
        (twenty_one.encode_result_error("1", "A", "😀" * 300), [5, "1", "A", "😀" * 255, {}]),
    ]
    for frame, expected in rows:
        assert frame[0] == 0x81
        body = frame[2:] if frame[1] < 126 else frame[4:]
        assert len(body) == (frame[1] if frame[1] < 126 else int.from_bytes(frame[2:4]))
        assert json.loads(body) == expected


def test_every_list_of_versions_has_them_all() -> None:
    """The core has the list; what types and texts have to spell out is the same list."""
    assert get_args(config.Version) == tuple(SUBPROTOCOLS)
    assert get_args(config.Listener.model_fields["assume_version"].annotation) == ("", *SERVED)
    assert list(rules(config.Config())) == list(SUBPROTOCOLS)
    for refusal in (Refusal.NO_SUBPROTOCOL, Refusal.UNSERVED_SUBPROTOCOL):
        assert all(subprotocol in refusal.value.text for subprotocol in SERVED)


@pytest.mark.parametrize("folder", ["gateway", "cli"])
def test_no_code_compares_the_names_of_versions(folder: str) -> None:
    """What differs between versions is data of the core (``_core.Version``)."""
    spelled = re.compile("|".join(f'"{name}"' for name in SUBPROTOCOLS))
    files = (Path(voltgate.__file__).parent / folder).rglob("*.py")
    assert [file.name for file in files if spelled.search(file.read_text())] == []
