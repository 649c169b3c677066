"""The section of a release in CHANGELOG.md."""

import tomllib

import pytest
from notes import NoSectionError, open_points, section
from steps import ROOT

OLD = "# Changelog\n\n## 1.2.0\n\n- a\n\n## 1.1.0\n\n- b\n"
DRAFT = "# Changelog\n\n## Unreleased\n\n- c\n\n## 1.2.0 (unreleased)\n\n- a\n\n## 1.1.0\n\n- b\n"


def test_a_release_has_its_own_section() -> None:
    assert section(OLD, "1.2.0") == "## 1.2.0\n\n- a\n\n"
    assert open_points(OLD, "1.2.0") == []


def test_what_is_not_released_comes_along_and_has_to_be_dealt_with() -> None:
    assert section(DRAFT, "1.2.0") == "## Unreleased\n\n- c\n\n## 1.2.0 (unreleased)\n\n- a\n\n"
    assert len(open_points(DRAFT, "1.2.0")) == 2
    assert section(DRAFT, "1.1.0").endswith("## 1.1.0\n\n- b\n")


@pytest.mark.parametrize("version", ["1.3.0", "1.2", "2.0"])
def test_a_release_without_a_section_is_refused(version: str) -> None:
    with pytest.raises(NoSectionError):
        section(OLD, version)


def test_this_version_has_a_section() -> None:
    version = tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]["package"]["version"]
    assert section((ROOT / "CHANGELOG.md").read_text(), version)
