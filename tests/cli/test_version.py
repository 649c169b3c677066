"""``voltgate version``."""

import json
from collections.abc import Callable
from importlib import metadata

from voltgate import __version__

Run = Callable[..., tuple[int, str, str]]


def test_the_release_comes_first_and_the_packages_follow(voltgate: Run) -> None:
    code, out, err = voltgate("version")
    assert (code, err) == (0, "")
    assert out.splitlines()[0] == f"voltgate {__version__}", "as --version prints it"
    _, out, _ = voltgate("version", "--json")
    shown = json.loads(out)
    assert shown["voltgate"] == __version__
    assert shown["nats-py"] == metadata.version("nats-py")
    assert shown["nats-server"] == ">= 2.12.8"
