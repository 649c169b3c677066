"""The findings of ``voltgate check``."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

Finding = tuple[str, str]


@pytest.fixture
def findings(voltgate: Callable[..., tuple[int, str, str]]) -> Callable[..., dict[str, Finding]]:
    """Verdict and text by name, the worst where a name has several; the exit code is true."""

    def run(config: Path, *options: str) -> dict[str, Finding]:
        code, out, _ = voltgate("check", "--json", "--config", config, *options)
        worst: dict[str, Finding] = {}
        for row in json.loads(out):
            order = ["ok", "hint", "fail"].index
            before = worst.get(row["name"], ("ok", ""))
            if order(row["verdict"]) >= order(before[0]):
                worst[row["name"]] = row["verdict"], row["text"]
        assert bool(code) == any(verdict == "fail" for verdict, _ in worst.values()), "hints do not fail it"
        return worst

    return run
