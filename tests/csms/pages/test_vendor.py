"""Files of other people are the ones that are pinned, without asking npm."""

import json
from pathlib import Path

import pytest
from vendor import PLACES, digest


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.parent.name)
def test_each_file_has_its_hash_and_each_package_its_licence(place: Path) -> None:
    packages = json.loads((place / "vendor.json").read_text())
    files = {name: file for package in packages for name, file in package["files"].items()}
    assert {name: digest((place / name).read_bytes()) for name in files} == {
        name: file["sha512"] for name, file in files.items()
    }
    assert {path.name for path in place.iterdir()} == {*files, "vendor.json"}
    for package in packages:
        assert package["licence"]
        assert package["integrity"].startswith("sha512-")
        assert [name for name in package["files"] if name.endswith(".LICENSE")], package["name"]
