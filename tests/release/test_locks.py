"""The lock files name what pyproject.toml asks for, and no crate needs a newer Rust than we say."""

import json
import re
import subprocess
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version
from steps import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
TOOLS = [line for line in (ROOT / "release" / "tools.in").read_text().splitlines() if line[0] != "#"]
LOCKS = {
    "requirements.txt": PROJECT["dependencies"],
    "requirements-dev.txt": [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["dev"]],
    "requirements-release.txt": TOOLS,
}


def locked(name: str) -> dict[str, Version]:
    """Package to version; every one has hashes."""
    text = (ROOT / "release" / name).read_text().replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    assert [line for line in lines if "--hash=sha256:" not in line] == []
    found = [re.match(r"([\w.-]+)==(\S+)", line) for line in lines]
    return {canonicalize_name(one[1]): Version(one[2]) for one in found if one}


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_file_satisfies_what_is_asked_for(name: str) -> None:
    versions = locked(name)
    faults = []
    for text in LOCKS[name]:
        wanted = Requirement(text)
        version = versions.get(canonicalize_name(wanted.name))
        if version is None or version not in wanted.specifier:
            faults.append(f"{text}: {version} is locked (make lock)")
    assert faults == []


def test_no_crate_needs_a_newer_rust_than_ours() -> None:
    """clippy judges our own code by the same number (incompatible_msrv)."""
    said = subprocess.run(
        ["cargo", "metadata", "--locked", "--format-version", "1"],
        cwd=ROOT, check=True, capture_output=True, text=True,
    )  # fmt: skip
    ours = Version(tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]["package"]["rust-version"])
    packages = json.loads(said.stdout)["packages"]
    assert len(packages) > 20
    newer = [
        f"{one['name']} {one['version']}: {one['rust_version']}"
        for one in packages
        if one["rust_version"] and Version(one["rust_version"]) > ours
    ]
    assert newer == []


def test_the_image_is_built_with_a_rust_that_is_new_enough() -> None:
    ours = Version(tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]["package"]["rust-version"])
    (image,) = re.findall(r"(?m)^FROM rust:([\d.]+)", Path(ROOT, "deploy/Dockerfile").read_text())
    assert Version(image) >= ours
