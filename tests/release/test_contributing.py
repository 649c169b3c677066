"""The small files that contributors and their tools expect."""

import re
from pathlib import Path

import pytest
import yaml
from steps import ROOT

FORMS = sorted((ROOT / ".github").rglob("*.y*ml"))


@pytest.mark.parametrize("form", FORMS, ids=lambda path: path.name)
def test_each_file_of_the_forge_can_be_read(form: Path) -> None:
    assert yaml.safe_load(form.read_text())


def test_the_workflow_is_what_everybody_runs() -> None:
    (job,) = yaml.safe_load((ROOT / ".github/workflows/check.yaml").read_text())["jobs"].values()
    assert job["steps"][-1] == {"run": "make check"}


def test_hooks_before_a_commit_run_what_is_there() -> None:
    (local,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    entries = " ".join(hook["entry"] for hook in local["hooks"])
    tests = re.findall(r"tests/\S+", entries)
    assert tests
    assert [name for name in tests if not (ROOT / name).is_file()] == []


def test_an_issue_about_security_goes_where_security_md_says() -> None:
    (link,) = yaml.safe_load((ROOT / ".github/ISSUE_TEMPLATE/config.yml").read_text())["contact_links"]
    assert link["url"].endswith("/security/advisories/new")
    assert "security advisory" in (ROOT / "SECURITY.md").read_text()
