"""What the fuzzers have found and kept still holds; without atheris, in every run of the tests."""

import importlib

import pytest

from fuzz.catalogue import PYTHON, TARGETS
from fuzz.seeds import FOLDER, kept


def test_every_target_has_seeds_and_every_file_of_seeds_a_target() -> None:
    assert {path.stem for path in FOLDER.glob("*.txt")} == set(TARGETS)
    assert all(kept(target) for target in TARGETS)


@pytest.mark.parametrize("target", PYTHON)
def test_the_inputs_that_were_kept_hold(target: str) -> None:
    one = importlib.import_module(f"fuzz.{target}").one
    for data in kept(target):
        one(data)
