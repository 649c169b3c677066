"""``voltgate config example``: the file of ``deploy/``, from the installed package."""

import tomllib
from collections.abc import Callable
from pathlib import Path

Run = Callable[..., tuple[int, str, str]]

DEPLOYED = Path(__file__).parents[2] / "deploy" / "voltgate.toml"


def test_the_example_is_the_deployed_file_and_is_accepted(voltgate: Run, file: Callable[[str], Path]) -> None:
    code, out, err = voltgate("config", "example")
    assert (code, err) == (0, "")
    assert out == DEPLOYED.read_text(), "one file, at two places"
    code, shown, _ = voltgate("check", "--print-config", "--config", file(out))
    assert code == 0
    assert tomllib.loads(shown)["nats"]["url"] == "nats://127.0.0.1:4222"
