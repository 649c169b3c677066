"""``voltgate asyncapi``, and ``voltgate schema --all``, which adds the schemas."""

import json
import re
from collections.abc import Callable
from pathlib import Path

from voltgate.schemas import SUBPROTOCOLS, schema_files

Run = Callable[..., tuple[int, str, str]]


def test_the_document_has_the_prefixes_of_the_configuration(
    voltgate: Run, file: Callable[[str], Path]
) -> None:
    code, out, err = voltgate("asyncapi", "--config", file("[nats]\nprefix='facts'\n"))
    assert (code, err) == (0, "")
    assert out.startswith('asyncapi: "3.1.0"\n')
    assert '"facts.tx.{version}.{action}.{token}"' in out


def test_the_bundle_has_every_schema_and_a_document_that_refers_to_them(
    voltgate: Run, tmp_path: Path
) -> None:
    code, out, _ = voltgate("schema", "--all", tmp_path / "new" / "folder")
    assert (code, out) == (0, "")
    folder = tmp_path / "new" / "folder"
    written = {str(path.relative_to(folder)): path for path in folder.rglob("*.json")}
    assert len(written) == sum(len(schema_files(version)) for version in SUBPROTOCOLS)
    for version in SUBPROTOCOLS:
        sources = {json.dumps(json.loads(content), sort_keys=True) for _, content in schema_files(version)}
        ours = [path for name, path in written.items() if name.startswith(f"{version}/")]
        assert {json.dumps(json.loads(path.read_bytes()), sort_keys=True) for path in ours} == sources
    referred = set(re.findall(r"\./([\w/.]+\.json)", (folder / "asyncapi.yaml").read_text()))
    assert {name for name in written if name.endswith(".request.json")} <= referred <= set(written)


def test_a_folder_that_cannot_be_written_is_named(voltgate: Run, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    code, _, err = voltgate("schema", "--all", tmp_path / "file" / "x")
    assert code == 1
    assert str(tmp_path / "file") in err
    code, _, err = voltgate("schema", "1.6", "--all", tmp_path)
    assert (code, err) == (2, "voltgate: --all: needs no VERSION and no ACTION\n")
